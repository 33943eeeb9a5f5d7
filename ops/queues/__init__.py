"""Dead letters: what they are, the way back to where they belong, and the quarantine of those that have none."""
