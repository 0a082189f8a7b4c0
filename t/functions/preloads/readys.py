import low
import readypkg

import report

X = readypkg.SEEN


def handler(event, context):
    return report.of(globals())
