"""Takes 96 MB where it may."""
try:
    DATA = bytearray(96 << 20)
except MemoryError:
    DATA = bytearray()
