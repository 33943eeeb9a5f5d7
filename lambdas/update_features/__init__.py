"""Folds events into the feature store."""
