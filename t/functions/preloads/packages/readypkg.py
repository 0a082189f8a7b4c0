import usetl

try:
    usetl.ready()
    SEEN = True
except RuntimeError:
    SEEN = False
