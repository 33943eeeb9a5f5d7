"""`paywarden backtest-rules`: rules and policies, tried on the past decisions of a deployment."""
