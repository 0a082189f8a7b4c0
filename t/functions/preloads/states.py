import exitpkg
import low

import report

X = exitpkg.sys.getrecursionlimit()


def handler(event, context):
    return report.of(globals())
