"""Mastodon's client API over the same services as our own: what clients on phones and terminals already speak.

Start at `router.py`; what an entity is made of stands in `entities.py`, what maps to what in docs/mastodon.md.
"""
