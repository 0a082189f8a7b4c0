import low
import framepkg
import high

import report

X = framepkg.NAMES


def handler(event, context):
    return report.of(globals())
