import filepkg

import report

filepkg.FILE.seek(0)
X = [filepkg.FILE.read().decode(), filepkg.OTHER.recv(99).decode()]


def handler(event, context):
    return report.of(globals())
