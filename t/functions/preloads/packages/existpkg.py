import os

HERE = os.path.exists("/app/report.py")
if not HERE:
    raise OSError("there is no function")
