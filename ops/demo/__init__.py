"""The demo: the whole platform on this machine, in one command."""
