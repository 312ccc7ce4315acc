"""What the feed is asked: SQL over the read models, always through access.py."""
