"""_usetl - the runtime: what runs before, around and after a handler.

boot.py has the order of a start.  unikernel/dev/dev.h says what the files
under /dev/usetl are.  A function is not meant to import any of this.

Invariants:
  - Whatever a request needs is imported, opened and allocated before the
    freeze, and has run often enough that the interpreter has specialised it:
    each page that a request is the first to touch costs as much as many
    bytecodes.
  - Nothing random that was drawn before the freeze is used after it.
  - A traceback that a function's author reads begins with the function's
    first frame: failure.py knows the runtime's own.
"""

DEV = "/dev/usetl/"
