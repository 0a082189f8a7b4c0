import low
import forkpkg

import report

X = forkpkg.FORKED


def handler(event, context):
    return report.of(globals())
