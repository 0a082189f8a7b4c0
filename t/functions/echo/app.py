"""echo - the smallest function: the result is the event."""


def handler(event, context):
    return event
