try:
    import maybe
    HAS = maybe.__file__
except ImportError:
    HAS = None
