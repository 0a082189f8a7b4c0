import sys

if len(sys.path) > 2:
    import low
else:
    import high

import report

X = low.VALUE


def handler(event, context):
    return report.of(globals())
