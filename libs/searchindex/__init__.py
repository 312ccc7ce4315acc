"""One index over people, posts and communities, behind a port that every engine implements."""
