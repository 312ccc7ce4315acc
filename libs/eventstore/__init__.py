"""Append-only streams, decisions on them, and the projections that commit with them."""
