import usetl

try:
    usetl.get("http://127.0.0.1:1/", timeout=1)
    GOT = "something"
except Exception as e:
    GOT = type(e).__name__
