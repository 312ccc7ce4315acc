"""Site search: one index over people, posts and communities; see service.py."""
