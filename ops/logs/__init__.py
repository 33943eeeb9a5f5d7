"""What functions said: read by whoever is on call, without knowing how log groups are named."""
