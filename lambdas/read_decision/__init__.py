"""Tells a decision again, with its reasons and what was reported since."""
