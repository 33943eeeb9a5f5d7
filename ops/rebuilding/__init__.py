"""States built anew from history, and compared with those that serve before they take over."""
