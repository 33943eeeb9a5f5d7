"""Models, as an operator sees them: what there is, what serves, who said so, and the way back."""
