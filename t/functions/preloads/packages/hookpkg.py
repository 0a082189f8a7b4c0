import sys

ASKED = []


def hook(path):
    ASKED.append(path)
    raise ImportError(path)


sys.path_hooks.insert(0, hook)
sys.path_importer_cache.clear()
