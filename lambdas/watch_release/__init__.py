"""Looks at how the release of a model goes."""
