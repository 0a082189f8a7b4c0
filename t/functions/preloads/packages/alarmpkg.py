import signal

signal.alarm(3600)
LEFT = signal.alarm(3600) > 3500
