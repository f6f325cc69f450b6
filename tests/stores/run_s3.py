"""moto's S3 as a server process; runs in .venv-servers.

Writes are answered one at a time: moto looks whether an object exists (`If-None-Match`) and then writes it.
"""

import io
import sys
import threading

import lifeline
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


class _Handler(MotoRequestHandler):
    """Keeps connections, and the terminal clean."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, *_):
        """Logs nothing."""


def main():
    answer, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def answer_alone(environment, start):
        if environment["REQUEST_METHOD"] in ("GET", "HEAD"):
            return answer(environment, start)
        length = int(environment.get("CONTENT_LENGTH") or 0)
        body = environment["wsgi.input"].read(length)
        if len(body) < length:
            raise ConnectionError("the client broke off")
        environment["wsgi.input"] = io.BytesIO(body)
        with lock:
            return list(answer(environment, start))

    server = make_server("127.0.0.1", 0, answer_alone, threaded=True, request_handler=_Handler)
    lifeline.serve(server.server_port, server.serve_forever)


if __name__ == "__main__":
    sys.exit(main())
