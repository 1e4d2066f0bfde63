"""What the scripts for Python's clients have in common: the package that is tried, and the server; see `run`."""

import importlib
import os
import signal
import socket
import subprocess
import sys
import time

package = importlib.import_module(sys.argv[1])
errors = importlib.import_module(sys.argv[1] + ".exceptions")
Client = getattr(package, "KurrentDBClient", None) or package.EventStoreDBClient
certificate = open(os.environ["CERTIFICATE"]).read()


def error(name: str):
    """The exception of this name; one of the packages adds `Error` to some."""
    return getattr(errors, name + "Error", None) or getattr(errors, name)


def client(url: str):
    return Client(url.split("&tlsCAFile")[0], root_certificates=certificate)


def step(text: str) -> None:
    print("  ", text, flush=True)


def eventually(what: str, holds, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"it is not so: {what}")
        time.sleep(0.05)


def refused(error, does) -> Exception:
    try:
        does()
    except error as refusal:
        return refusal
    raise SystemExit(f"no {error}")


def listens() -> bool:
    host, port = os.environ["ANNALS_EVENTSTORE_LISTEN"].split(":")
    try:
        socket.create_connection((host, int(port))).close()
        return True
    except OSError:
        return False


def kill_and_start_again() -> None:
    with open(os.environ["PIDFILE"]) as file:
        os.kill(int(file.read()), signal.SIGKILL)
    eventually("the server is gone", lambda: not listens())
    server = subprocess.Popen([os.environ["ANNALS"], "log"], start_new_session=True)
    with open(os.environ["PIDFILE"], "w") as file:
        file.write(str(server.pid))
    eventually("the server listens again", listens, 60)
