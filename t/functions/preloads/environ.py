import os

os.environ["MODE"] = "set"

import envpkg

import report

X = envpkg.MODE


def handler(event, context):
    return report.of(globals())
