import signal

signal.signal(signal.SIGALRM, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 3600)
LEFT = signal.getitimer(signal.ITIMER_REAL)[0] > 3500
