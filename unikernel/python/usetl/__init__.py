"""usetl - HTTP for a function that has no network: usetl-python(7).

The host does the transfer and leaves the body in memory that the guest can
read, as a file; here are the words for asking and for reading it.  Under it
lies /dev/usetl/fetch (unikernel/dev/dev.h): one open file is one transfer.

Invariants:
  - The public names are those of __all__, and say that they are this
    module's.  Each other module of the package has one noun, and a name that
    begins with an underscore.
  - Times are in seconds, sizes in bytes.
  - Every failure of a transfer is an Error that names the URL.
"""

from ._errors import Error, HTTPError, Timeout
from ._headers import Headers
from ._hooks import on_clone, on_ready, ready
from ._request import Request
from ._response import Response
from ._verbs import delete, gather, get, head, patch, post, put, request

__all__ = [
    "Error", "HTTPError", "Headers", "Request", "Response", "Timeout",
    "delete", "gather", "get", "head", "on_clone", "on_ready", "patch",
    "post", "put", "ready", "request",
]

# as tracebacks print them and pickles look for them
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
