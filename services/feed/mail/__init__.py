"""Letters of the feed: what they say, and how they look."""
