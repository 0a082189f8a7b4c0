import low
import callerpkg
import high

import report

X = callerpkg.NAME


def handler(event, context):
    return report.of(globals())
