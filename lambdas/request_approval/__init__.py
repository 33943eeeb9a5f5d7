"""Asks for the approval of a model."""
