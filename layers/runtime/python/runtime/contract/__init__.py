"""What merchants send and what they are answered: the models that the OpenAPI document is generated from."""
