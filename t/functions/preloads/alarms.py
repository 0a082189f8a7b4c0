import low
import alarmpkg
import high

import report

X = alarmpkg.LEFT


def handler(event, context):
    return report.of(globals())
