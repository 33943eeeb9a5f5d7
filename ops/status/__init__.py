"""How a deployment is now, on one screen: for the person who was just called."""
