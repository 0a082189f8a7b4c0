import low
import trypkg

import report

X = trypkg.HAS


def handler(event, context):
    return report.of(globals())
