"""A client of the control socket."""

import json
import os
import signal
import socket
import time

__all__ = ["Control", "until", "os", "socket"]

# No test waits for ever.
signal.alarm(1000)


class Control:
    """One client: lines of Lua, lines of JSON."""

    def __init__(self, path="ctl.sock"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        try:
            self.socket.sendall(data)
        except BrokenPipeError:
            pass                    # the answer may say why

    def answer(self):
        try:
            line = self.file.readline()
        except ConnectionResetError:
            return "closed"
        return json.loads(line) if line.endswith(b"\n") else "closed"

    def __call__(self, chunk):
        self.send(chunk.encode() + b"\n")
        return self.answer()

    def close(self):
        self.file.close()
        self.socket.close()


def until(true):
    """Wait for something that will happen."""
    while not true():
        time.sleep(0.01)
