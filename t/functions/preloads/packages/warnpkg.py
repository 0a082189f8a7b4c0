import warnings

warnings.warn("warnpkg is old", UserWarning, stacklevel=2)
