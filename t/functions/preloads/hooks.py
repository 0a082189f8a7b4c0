import low
import hookpkg
import high

import report

X = "/app" in hookpkg.ASKED


def handler(event, context):
    return report.of(globals())
