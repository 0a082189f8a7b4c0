import threading

STOP = threading.Event()
THREAD = threading.Thread(target=STOP.wait, daemon=True)
THREAD.start()
