"""Records what became known of a transaction."""
