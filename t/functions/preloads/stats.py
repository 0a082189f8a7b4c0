import low
import statpkg

import report

X = statpkg.SEEN


def handler(event, context):
    return report.of(globals())
