"""Decides on a transaction."""
