import sys

NAMES = []
frame = sys._getframe()
while frame:
    if "importlib" not in frame.f_code.co_filename:
        NAMES.append(frame.f_code.co_filename)
    frame = frame.f_back
NAMES = [n for n in NAMES if not n.startswith("/usetl")]
