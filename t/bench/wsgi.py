"""wsgi.py - the function as a WSGI application, for gunicorn; app is on the
path (--pythonpath)"""

import json

import app


def application(environ, start_response):
    n = int(environ.get("CONTENT_LENGTH") or 0)
    event = json.loads(environ["wsgi.input"].read(n))
    body = json.dumps(app.handler(event)).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]
