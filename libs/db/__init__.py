"""One small port to a relational database, and its engines."""
