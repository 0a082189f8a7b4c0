import socket
import tempfile

FILE = tempfile.TemporaryFile()
FILE.write(b"written at import")
FILE.flush()
ONE, OTHER = socket.socketpair()
ONE.send(b"sent at import")
