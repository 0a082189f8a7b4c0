import low
import namepkg

import report

X = [namepkg.NAME, namepkg.HANDLER]


def handler(event, context):
    return report.of(globals())
