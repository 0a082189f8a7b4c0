import os

NAME = os.environ.get("USETL_NAME")
HANDLER = os.environ.get("USETL_HANDLER")
