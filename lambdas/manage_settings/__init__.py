"""Shows and changes what merchants set: rules, lists and policy."""
