import envpkg
import setpkg

import report

X = envpkg.MODE


def handler(event, context):
    return report.of(globals())
