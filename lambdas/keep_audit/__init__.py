"""Keeps the audit trail where nobody can change it."""
