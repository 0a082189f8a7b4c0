import low
import stackpkg
import high

import report

X = stackpkg.NAMES


def handler(event, context):
    return report.of(globals())
