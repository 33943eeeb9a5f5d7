"""Counts what monitoring found, and starts a retraining for drift."""
