import low

try:
    import badpkg
except OSError as e:
    badpkg = str(e)
import high

import report

X = badpkg


def handler(event, context):
    return report.of(globals())
