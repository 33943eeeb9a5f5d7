"""Getting data back: tables by their point-in-time recovery, objects by their versions.

Nothing is overwritten that says something newer, and no decision is overwritten at all.
"""
