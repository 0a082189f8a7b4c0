import low
import limitpkg
import high

import report

X = limitpkg.PAGES


def handler(event, context):
    return report.of(globals())
