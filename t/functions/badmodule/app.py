"""badmodule - the manifest names a module that is not there."""
