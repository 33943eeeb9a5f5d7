"""Operating Paywarden: the `paywarden` command, the local cloud and what feeds them."""
