import sys

sys.path.insert(0, "/packages/plainpkg")
import sub

import report

X = sub.Y


def handler(event, context):
    return report.of(globals())
