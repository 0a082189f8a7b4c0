import low
import lookpkg

import report

X = lookpkg.SEEN


def handler(event, context):
    return report.of(globals())
