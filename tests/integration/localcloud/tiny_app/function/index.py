"""Answers with what it was given."""


def handler(event: object, context: object) -> object:
    del context
    return event
