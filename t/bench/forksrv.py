"""forksrv.py - the peer that forks per HTTP request: socketserver.ForkingMixIn

usage: python3 -S -E -B forksrv.py FOLDER; prints its port.

It speaks HTTP/1.0, so each request has a connection and a process of its own.
"""

import gc
import http.server
import json
import socketserver
import sys

sys.path.insert(0, sys.argv[1])
import app  # noqa: E402


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(
            int(self.headers["Content-Length"])))
        body = json.dumps(app.handler(event)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(socketserver.ForkingMixIn, http.server.HTTPServer):
    request_queue_size = 128
    max_children = 200

    def handle_error(self, request, client_address):
        """A client that went away is no error here."""


with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    gc.collect()
    gc.freeze()
    server.serve_forever(poll_interval=0.05)
