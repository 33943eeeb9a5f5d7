"""What became of one request: everything that knows of it, in the order of time."""
