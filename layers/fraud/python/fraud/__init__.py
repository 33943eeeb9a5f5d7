"""The domain of Paywarden: events, features, state, policy and decisions.

Everything in this package is pure: it never reads a clock, an environment variable, a file or a network.
Time, keys and configuration are arguments, so that serving, training and tests run the same code.
"""
