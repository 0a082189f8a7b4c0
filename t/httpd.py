#!/usr/bin/env python3
"""httpd.py - the test's HTTP server: data to extract, places to load it into

usage: httpd.py [--port N] [--tls CERT KEY]

Listens on 127.0.0.1, prints its port on one line, serves until it is killed.

GET  /in.csv           four rows of name,amount, one of them empty
     /big?size=N       N bytes, byte i is i % 251
     /chunked?size=N   the same, chunked: no length announced
     /crumbs?size=N    so, in chunks of a byte, each in three writes
     /gzip?size=N      the same, compressed; without size: in.csv
     /status/NNN       that status and one line of text
     /headers          what was received, as JSON: [[name, value], ...]
     /connection       the client's port: the same while it is kept alive
     /redirect?to=URL&code=NNN   default: /in.csv and 302, for any method
     /loop             redirects to itself
     /slow?seconds=N   one byte each 100 ms; head=1: nothing at all before
     /truncated        announces 1000 bytes and sends 500; chunked=1: no end;
                       gzip=1: in.csv, compressed, less its end
     /bomb?size=N&coding=LIST   5 * N bytes in gzip, inside of which are N
                       pieces that say nothing, in gzip
     /badgzip          not gzip, though it says so
     /te?coding=LIST   in.csv, with that transfer-encoding and as it is
     /promise?size=N&sent=M   announces N bytes and sends M, then nothing
     /waiting          how many of these two are under way: /slow, /promise
     /held             no answer before somebody asks for /release
     /release          those that are under way have theirs, and it is sent
     /holding          how many of /held are under way
     /drop             closes the connection without an answer
     /garbage          an answer that is not HTTP
     /longhead?size=N  a header of N bytes
POST, PUT, PATCH to any path: remembered, for GET; DELETE forgets it
"""

import argparse
import gzip
import http.server
import json
import ssl
import threading
import time
import urllib.parse
import zlib

CSV = b"name,amount\nAda,1200.25\nbob,30\nada ,\ncarol,4.25\n"
BLOCK = bytes(range(251)) * 4096


def pattern(size):
    """Yield the size bytes of /big in blocks."""
    view = memoryview(BLOCK)
    while size > 0:
        yield view[:size]
        size -= len(view)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    stored = {}
    bombs = {}
    waiting = set()
    holding = set()
    gate = threading.Event()

    def log_message(self, *args):
        pass

    def handle_expect_100(self):
        """A client that asks before its body waits for a second, if it must."""
        done = super().handle_expect_100()
        self.wfile.flush()
        return done

    def start(self, status=200, length=None, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self, data):
        if self.command != "HEAD":
            self.wfile.write(data)

    def answer(self, status, data, **headers):
        headers.setdefault("Content_Type", "text/plain")
        self.start(status, len(data), **headers)
        self.body(data)

    def answer_json(self, value):
        self.answer(200, json.dumps(value).encode(),
                    Content_Type="application/json")

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass                # trailers
        return data

    def size(self, default=0):
        return int(self.query.get("size", default))

    def get_in_csv(self):
        self.answer(200, CSV, Content_Type="text/csv; charset=utf-8")

    def get_big(self):
        self.start(length=self.size(),
                   Content_Type="application/octet-stream")
        if self.command != "HEAD":
            for part in pattern(self.size()):
                self.wfile.write(part)

    def get_chunked(self):
        self.start(Transfer_Encoding="chunked")
        for part in pattern(self.size(10000)):
            self.wfile.write(b"%x\r\n" % len(part))
            self.wfile.write(part)
            self.wfile.write(b"\r\n")
        self.wfile.write(b"0\r\nX-Trailer: late\r\n\r\n")

    def get_crumbs(self):
        self.start(Transfer_Encoding="chunked")
        self.wfile.flush()
        for i in range(self.size()):
            for part in b"1\r\n", bytes((i % 251,)), b"\r\n":
                self.connection.sendall(part)
        self.wfile.write(b"0\r\n\r\n")

    def get_gzip(self):
        data = b"".join(pattern(self.size())) if self.size() else CSV
        self.answer(200, gzip.compress(data, 1), Content_Encoding="gzip",
                    Content_Type="text/csv; charset=utf-8")

    def get_status(self):
        self.answer(int(self.path.rsplit("/", 1)[1]), b"as asked\n")

    def get_headers(self):
        self.answer_json(self.headers.items())

    def get_connection(self):
        self.answer(200, b"%d" % self.client_address[1])

    def get_redirect(self):
        self.answer(int(self.query.get("code", 302)), b"over there\n",
                    Location=self.query.get("to", "/in.csv"))

    def get_loop(self):
        self.answer(302, b"", Location="/loop")

    def get_waiting(self):
        self.answer(200, b"%d" % len(self.waiting))

    def get_held(self):
        gate = Handler.gate
        self.close_connection = True
        self.holding.add(self)
        try:
            gate.wait()
            self.answer(200, b"released\n")
            self.wfile.flush()
        finally:
            self.holding.discard(self)

    def get_release(self):
        gate, Handler.gate = Handler.gate, threading.Event()
        gate.set()
        while self.holding:
            time.sleep(0.001)
        self.answer(200, b"0")

    def get_holding(self):
        self.answer(200, b"%d" % len(self.holding))

    def get_slow(self):
        self.waiting.add(self)
        try:
            self.slow()
        finally:
            self.waiting.discard(self)

    def slow(self):
        end = time.monotonic() + float(self.query.get("seconds", 30))
        self.close_connection = True
        if "head" in self.query:
            time.sleep(end - time.monotonic())
            self.answer(200, b"late\n")
            return
        self.start()
        while time.monotonic() < end:
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.1)

    def get_truncated(self):
        self.close_connection = True
        if "chunked" in self.query:
            self.start(Transfer_Encoding="chunked")
            self.wfile.write(b"1f4\r\n" + BLOCK[:500] + b"\r\n")
        elif "gzip" in self.query:
            data = gzip.compress(CSV)
            self.start(200, len(data), Content_Encoding="gzip")
            self.wfile.write(data[:-12])
        else:
            self.start(length=1000)
            self.wfile.write(BLOCK[:500])

    def get_bomb(self):
        data = self.bombs.get(self.size())
        if data is None:
            # a member whose blocks are all stored, and empty (RFC 1951, 3.2.4)
            pack = zlib.compressobj(6, wbits=31)
            left, block = self.size(), b"\0\0\0\xff\xff" * 20000
            data = pack.compress(bytes.fromhex("1f8b08000000000000ff"))
            while left:
                n = min(left, 20000)
                data += pack.compress(block[:5 * n])
                left -= n
            data += pack.compress(b"\3\0" + bytes(8)) + pack.flush()
            self.bombs[self.size()] = data
        self.answer(200, data, Content_Encoding=self.query["coding"])

    def get_badgzip(self):
        self.answer(200, BLOCK[:500], Content_Encoding="gzip")

    def get_promise(self):
        self.close_connection = True
        self.start(length=self.size())
        for part in pattern(int(self.query["sent"])):
            self.wfile.write(part)
        self.wfile.flush()
        self.waiting.add(self)
        self.rfile.read()               # until the client goes
        self.waiting.discard(self)

    def get_te(self):
        self.close_connection = True
        self.start(Transfer_Encoding=self.query["coding"])
        self.wfile.write(CSV)

    def get_drop(self):
        self.close_connection = True

    def get_garbage(self):
        self.close_connection = True
        self.wfile.write(b"220 mail.example ESMTP\r\n\r\n")

    def get_longhead(self):
        self.answer(200, b"", X_Long="x" * self.size())

    def get_stored(self, path):
        if path not in self.stored:
            self.answer(404, b"nothing here\n")
            return
        kind, data = self.stored[path]
        self.answer(200, data, Content_Type=kind)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        if self.command == "GET":
            self.read_body()
        name = url.path.split("/")[1].replace(".", "_")
        route = getattr(self, "get_" + name, None)
        if route and name != "stored":
            route()
        else:
            self.get_stored(url.path)

    do_HEAD = do_GET

    def do_POST(self):
        data = self.read_body()
        path = self.path.split("?")[0]
        if path in ("/redirect", "/drop") or path.startswith("/status/"):
            self.do_GET()
            return
        if path in ("/headers", "/connection"):
            self.do_GET()
            return
        self.stored[path] = (self.headers.get("Content-Type", ""), data)
        self.answer(201, json.dumps({
            "method": self.command, "bytes": len(data)}).encode(),
            Content_Type="application/json")

    do_PUT = do_PATCH = do_POST

    def do_DELETE(self):
        self.read_body()
        gone = self.stored.pop(self.path.split("?")[0], None)
        self.start(204 if gone else 404, None if gone else 0)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that went away is no error here."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    args = parser.parse_args()
    server = Server(("127.0.0.1", args.port), Handler)
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*args.tls)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
