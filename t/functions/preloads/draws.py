import low
import drawpkg

import report

X = len(drawpkg.TOKEN)


def handler(event, context):
    return report.of(globals())
