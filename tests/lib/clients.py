"""For tests that run in nbdsh: from clients import *"""

import errno
import json
import os
import signal
import socket
import threading
import time

import nbd

from control import Control as Client, until

# No test waits for ever.
signal.alarm(600)


def connect(export=""):
    """Another connection to the server of the test."""
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


def log():
    """What the server has said so far."""
    with open("log", encoding="utf-8", errors="replace") as f:
        return f.read()


def finish(h, cookies):
    """Wait for requests that were sent; their outcomes, in order."""
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


class Control(Client):
    """A client of control=: called with a chunk, it gives the result."""

    def __call__(self, chunk):
        answer = super().__call__(chunk.replace("\n", "\r"))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("result")


def control(chunk, path="ctl"):
    """What a chunk of Lua gives, run through the control socket."""
    return Control(path)(chunk)


def rules():
    """The rules by name, as fault.list() shows them."""
    return {r["name"]: r for r in control("fault.list()")}


def flood(h, requests, depth=16):
    """Send many requests (functions that take a completion callback), DEPTH at
    a time; their outcomes, in order."""
    outcomes = [None] * len(requests)
    for i, request in enumerate(requests):
        def done(err, i=i):
            outcomes[i] = errno.errorcode[err.value] if err.value else "ok"
            return 1
        request(done)
        while h.aio_in_flight() >= depth:
            h.poll(-1)
    while h.aio_in_flight():
        h.poll(-1)
    return outcomes


def together(*calls):
    """Call each function in a thread; what they return, in order."""
    results = [None] * len(calls)

    def run(i):
        results[i] = calls[i]()
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results
