"""syntaxerror - not Python."""


def handler(event, context:
    return 1
