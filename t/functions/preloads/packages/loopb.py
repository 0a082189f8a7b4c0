import loopa

B = getattr(loopa, "A", "not yet")
