import low
import badpkg
import high


def handler(event, context):
    return None
