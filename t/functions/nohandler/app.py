"""nohandler - a module without the function that the manifest names."""
