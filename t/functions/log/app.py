"""log - says things on every way there is to the invocation's log."""

import logging
import os
import sys

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
print("imported")


def handler(event, context):
    print("printed")
    print("to stderr", file=sys.stderr)
    logging.info("logged")
    os.write(1, b"written to 1\n")
    os.write(2, b"written to 2\n")
    print("é ü €")
    for i in range(event.get("lines", 0)):
        print(f"line {i} " + "x" * event.get("width", 0))
    sys.stdout.write("without a line end")
    return {"request": context.request_id, "name": context.function_name}
