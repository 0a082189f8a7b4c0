import loopb

A = "a"
