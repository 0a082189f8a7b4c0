import os
import sys

# by no call that is heard of
SEEN = os.path.isfile(os.path.join(sys.path[0], "report.py"))
