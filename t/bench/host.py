"""host.py - a function in a host process: a line per event, a line per result

usage: python3 -S -E -B host.py FOLDER
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
import app  # noqa: E402

for line in sys.stdin:
    print(json.dumps(app.handler(json.loads(line))), flush=True)
