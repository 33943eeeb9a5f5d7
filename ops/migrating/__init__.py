"""Stored data from one form to the next, beside live traffic."""
