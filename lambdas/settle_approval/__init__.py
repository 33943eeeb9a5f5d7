"""Tells an execution what was said of its model."""
