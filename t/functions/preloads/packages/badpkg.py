raise OSError("not on this machine")
