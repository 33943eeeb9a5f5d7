"""Publishes the ledger's stream on the bus."""
