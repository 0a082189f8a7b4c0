#!/usr/bin/python3
"""The guest's Python and the tests' functions parse as Python 3.9, the oldest
interpreter that is packed, and their lines have at most 79 columns.

    pystyle.py ROOT     prints what is wrong, a line each; exits with 1 then
"""

import ast
import glob
import sys


def wrong(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        ast.parse(text, feature_version=(3, 9))
    except SyntaxError as err:
        yield "%s:%s: not Python 3.9: %s" % (path, err.lineno, err.msg)
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > 79:
            yield "%s:%d: %d columns" % (path, number, len(line))


def main(root):
    files = [path for pattern in ("unikernel/python/*.py",
                                  "unikernel/python/*/*.py",
                                  "t/functions/*/*.py")
             for path in sorted(glob.glob(root + "/" + pattern))
             if "/syntaxerror/" not in path]
    found = [line for path in files for line in wrong(path)]
    if not files:
        found = ["%s: no Python here" % root]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
