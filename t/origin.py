#!/usr/bin/env python3
"""origin.py - an HTTP server that does not read all of its requests' bodies

usage: origin.py

Listens on 127.0.0.1, prints its port on one line, serves until it is killed.
Connections are kept, and what a handler has not read of a body is the next
request there, as in any program that is written with http.server.

GET, HEAD    answered with the request's path; a body is never read.
POST, PUT    likewise, and of the path's first part
  /after     the body is read before
  /before    it is not read at all
  /twice     it is read; some time after the answer comes another, "second"
             (of GET, too)
  /never     it is not read and there is no answer (of GET, too)
  /late      HEAD: some time after the answer comes another, "late"
  /extension, /trailers    of GET: without end, what their name says
"""

import http.server
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, text):
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def pour(self, head, more):
        """An answer that never ends, until nobody takes it."""
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n"
                             b"Transfer-Encoding: chunked\r\n\r\n" + head)
            while True:
                self.wfile.write(more)
        except OSError:
            pass

    def do_GET(self):
        if self.path.startswith("/never"):
            time.sleep(3600)
        if self.path.startswith("/extension"):
            return self.pour(b"1;", b"a" * 1000000)
        if self.path.startswith("/trailers"):
            return self.pour(b"1\r\na\r\n0\r\n", b"X:a\r\n" * 20000)
        self.answer(self.path)
        if self.path.startswith("/late") and self.command == "HEAD":
            time.sleep(0.1)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
                             b"late")
        if self.path.startswith("/twice"):
            time.sleep(0.1)
            self.answer("second")

    do_HEAD = do_GET

    def do_POST(self):
        if not self.path.startswith(("/before", "/never")):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    do_PUT = do_PATCH = do_DELETE = do_POST


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that went away is no error here."""


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
