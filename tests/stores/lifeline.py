"""A server process ends with the process that started it, even if that is killed: its standard input ends then."""

import os
import sys
import threading


def serve(port, serve_forever):
    """Prints the port and serves until standard input ends."""
    threading.Thread(target=serve_forever, daemon=True).start()
    print(port, flush=True)
    sys.stdin.read()
    os._exit(0)
