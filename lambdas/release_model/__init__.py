"""Lets a model in, step by step, and takes it out."""
