import os

SEEN = len(os.environ) > 0, bool(os.environ)
