import largepkg

import report

X = len(largepkg.DATA)


def handler(event, context):
    return report.of(globals())
