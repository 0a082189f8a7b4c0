import low
import printpkg
import high

import report

X = high.SUM


def handler(event, context):
    return report.of(globals())
