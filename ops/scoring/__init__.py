"""`paywarden score`: a table of payments through a model, all rows at once."""
