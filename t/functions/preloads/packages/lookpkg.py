import os
import sys

SEEN = sorted(os.listdir(sys.path[0]))
