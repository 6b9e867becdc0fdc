"""A slow reader of the file "pipe": pipe_reader.py sleeps|sips.

One that sleeps reads nothing until there is a file "go on"; one that sips reads
slowly until then.  Both make the file "reading" when they have opened the pipe.
"""

import os
import sys
import time

# Opening it must not wait for the server.
pipe = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
os.set_blocking(pipe, True)


def sleep():
    while not os.path.exists("go on"):
        time.sleep(0.02)
    while data := os.read(pipe, 65536):
        sys.stdout.buffer.write(data)


def sip():
    # Until the server opens the pipe, there is nothing to read.
    while not (data := os.read(pipe, 65536)):
        time.sleep(0.0005)
    while data := data or os.read(pipe, 65536):
        sys.stdout.buffer.write(data)
        data = b""
        if not os.path.exists("go on"):
            time.sleep(0.0005)


open("reading", "w").close()
{"sleeps": sleep, "sips": sip}[sys.argv[1]]()
