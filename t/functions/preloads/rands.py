import random
import randpkg

import report

X = 0
REPORT = {"module": [random.random(), randpkg.RANDOM.random()]}


def own(report):
    report.update(REPORT, request=[random.random(),
                                   randpkg.RANDOM.random()])


def handler(event, context):
    return report.of(globals())
