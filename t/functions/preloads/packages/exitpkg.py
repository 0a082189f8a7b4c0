import atexit
import signal
import sys

sys.setrecursionlimit(1234)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
sys.path.append("/packages/further")
