import low
import timerpkg
import high

import report

X = timerpkg.LEFT


def handler(event, context):
    return report.of(globals())
