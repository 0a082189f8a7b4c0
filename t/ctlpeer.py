"""ctlpeer.py - who talks to a server's control socket, to no good.

usage: ctlpeer.py SOCKET HOW [TEXT]
  say TEXT    send it as it is, and print what is answered
  hold N      connect N times and say nothing until standard input ends
  beside N    the same, and then order a list; print how that begins, and how many
              of the N are still connected
  slow TEXT   send it byte by byte, take the answer one byte at a time
  fds TEXT    send it with descriptors
  gone TEXT   send it and leave
"""
import socket
import sys
import time


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


def rest(s, n=65536):
    out = b""
    while True:
        try:
            part = s.recv(n)
        except ConnectionResetError:
            return out
        if not part:
            return out
        out += part


def is_there(s):
    s.setblocking(False)
    try:
        return s.recv(1) != b""
    except BlockingIOError:
        return True


def main():
    path, how, text = (sys.argv[1:] + [""])[:3]
    data = text.encode().decode("unicode_escape").encode("latin-1")
    if how == "hold":
        held = [connect(path) for _ in range(int(text))]
        print(len(held), flush=True)
        sys.stdin.read()
        return
    if how == "beside":
        held = [connect(path) for _ in range(int(text))]
        s = connect(path)
        s.sendall(b"list\n")
        print(rest(s)[:2].decode(), sum(map(is_there, held)))
        return
    s = connect(path)
    if how == "slow":
        for byte in data:
            s.send(bytes([byte]))
            time.sleep(0.02)
        data, n = b"", 1
    elif how == "fds":
        socket.send_fds(s, [data], [0, 1, 2])
    else:
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
    if how == "gone":
        return
    sys.stdout.write(rest(s, 1 if how == "slow" else 65536).decode())


main()
