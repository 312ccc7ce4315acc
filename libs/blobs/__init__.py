"""Files too big for an event: stored once by their content, named by reference."""
