"""host.py - a function in a process: a line per event, a line per result

usage: python3 -S -E -B host.py FOLDER [READY]

When the function is imported it prints READY, if that is given.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
import app  # noqa: E402

for word in sys.argv[2:]:
    print(word, flush=True)
for line in sys.stdin:
    print(json.dumps(app.handler(json.loads(line))), flush=True)
