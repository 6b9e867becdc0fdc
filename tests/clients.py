"""What the tests of the hooks share: for nbdsh, from clients import *"""

import json
import os
import signal
import socket
import time

import nbd

# Nothing here may wait for ever.
signal.alarm(100)


def connect(export=""):
    """One more connection to the server of the test."""
    h = nbd.NBD()
    h.add_meta_context("base:allocation")
    h.set_export_name(export)
    h.connect_unix(os.environ["sock"])
    return h


def outcome(call, *args):
    """"ok", or the name of the error."""
    try:
        call(*args)
        return "ok"
    except nbd.Error as e:
        return e.errno


def extents(h, count, offset=0):
    """The map of a range: pairs of length and kind."""
    entries = []
    h.block_status(count, offset, lambda _, __, e, ___: entries.extend(e))
    return list(zip(entries[::2], entries[1::2]))


def until(true):
    """Wait for something that will happen."""
    while not true():
        time.sleep(0.01)


def log():
    """What the server has said so far."""
    with open("log", encoding="utf-8", errors="replace") as f:
        return f.read()


def finish(h, cookies):
    """Wait for requests at work; their outcomes, in order."""
    outcomes = {}
    while len(outcomes) < len(cookies):
        for c in cookies:
            if c not in outcomes:
                try:
                    if h.aio_command_completed(c):
                        outcomes[c] = "ok"
                except nbd.Error as e:
                    outcomes[c] = e.errno
        if len(outcomes) < len(cookies):
            h.poll(-1)
    return [outcomes[c] for c in cookies]


class Control:
    """A client of control=ctl.sock: called with a chunk, it gives the result."""

    def __init__(self, path="ctl.sock"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def __call__(self, chunk):
        self.socket.sendall(chunk.replace("\n", "\r").encode() + b"\n")
        answer = json.loads(self.file.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("result")
