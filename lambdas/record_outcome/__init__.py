"""Records what was done with a transaction after its decision."""
