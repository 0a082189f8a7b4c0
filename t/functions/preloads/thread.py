import low
import threadpkg
import high

import report

X = threadpkg.THREAD.is_alive()


def handler(event, context):
    return report.of(globals())
