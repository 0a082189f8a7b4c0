import low
import existpkg

import report

X = existpkg.HERE


def handler(event, context):
    return report.of(globals())
