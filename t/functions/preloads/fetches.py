import low
import fetchpkg

import report

X = fetchpkg.GOT


def handler(event, context):
    return report.of(globals())
