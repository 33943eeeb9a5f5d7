"""What a deployment consists of, read from its templates: what there is, what listens, what stays behind."""
