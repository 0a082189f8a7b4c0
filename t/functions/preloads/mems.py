import low
import mempkg
import high

import report

X = mempkg.TOTAL


def handler(event, context):
    return report.of(globals())
