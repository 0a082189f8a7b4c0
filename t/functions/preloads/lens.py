import low
import lenpkg

import report

X = lenpkg.SEEN


def handler(event, context):
    return report.of(globals())
