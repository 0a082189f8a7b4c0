import low
import calpkg

import report

X = calpkg.WHOSE


def handler(event, context):
    return report.of(globals())
