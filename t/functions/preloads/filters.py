import warnings

warnings.filterwarnings("error")
from low import VALUE
try:
    import warnpkg
except UserWarning as e:
    X = str(e)

import report


def handler(event, context):
    return report.of(globals())
