"""fresh.py - a fresh process for one request: event by stdin, result printed

usage: python3 -S -E -B fresh.py FOLDER

Imports what unikernel/python/ imports in the reference.
"""

import faulthandler  # noqa: F401
import gc  # noqa: F401
import io  # noqa: F401
import json
import os  # noqa: F401
import sys
import time  # noqa: F401

sys.path.insert(0, sys.argv[1])
sys.path.append("/usr/lib/python3/dist-packages")  # which -S leaves out
import app  # noqa: E402

print(json.dumps(app.handler(json.load(sys.stdin))))
