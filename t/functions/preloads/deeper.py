import low
import high

import report

X = high.SUM


def handler(event, context):
    return report.of(globals())
