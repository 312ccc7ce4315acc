"""The sample organisation, as data and its reader; no service."""
