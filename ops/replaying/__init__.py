"""`paywarden replay`: any stretch of the past, through other features, models, rules or policies."""
