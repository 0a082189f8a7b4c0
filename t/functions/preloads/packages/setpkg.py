import os

os.environ["SET"] = "by setpkg"
os.environ["GIVEN"] = "by setpkg, too"
