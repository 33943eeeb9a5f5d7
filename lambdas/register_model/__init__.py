"""Registers a trained model."""
