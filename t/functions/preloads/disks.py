import low
import diskpkg
import high

import report

X = diskpkg.BLOCKS


def handler(event, context):
    return report.of(globals())
