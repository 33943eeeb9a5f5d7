"""`paywarden explain`: a past decision, made once more from what was recorded of it."""
