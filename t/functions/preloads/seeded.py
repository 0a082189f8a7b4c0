import low
import seedpkg
import random

import report

X = random.random()


def handler(event, context):
    return report.of(globals())
