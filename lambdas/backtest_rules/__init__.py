"""Tries rules and policies on past decisions."""
