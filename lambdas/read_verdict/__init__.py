"""Reads a verdict."""
