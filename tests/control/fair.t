#!/usr/bin/env bash
# Chunks and requests take turns for the lock of the scripts: chunk after chunk
# keeps no request from it, and requests after requests keep no chunk from it.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh python3

serve size=1M control=ctl.sock hook-timeout=1000 lua='n = 0
    function on.read(req)
      if req.offset == 0 then seen = n return end
      for i = 1, 500000 do end
    end'

# While a chunk holds the lock, a read begins to wait, and each of the
# control clients has many chunks.  How many of those come before the read?
cat >chunks.py <<'PY'
import nbd, time
from control import *
from clients import connect
others, rounds = 10, 9
h, first = connect(), Control()
clients = [Control() for i in range(others)]

def before():
    for name in ("go", "held"):
        if os.path.exists(name): os.unlink(name)
    first("n = 0")
    first.send(b'io.open("held", "w"):close() repeat local f = io.open "go" until f\n'
               + b"n = n + 1 for i = 1, 100000 do end\n" * 50)
    until(lambda: os.path.exists("held"))
    for c in clients: c.send(b"n = n + 1 for i = 1, 100000 do end\n" * 50)
    read = h.aio_pread(nbd.Buffer(512), 0)
    h.poll(0)
    time.sleep(0.1)             # a read that needs longer only counts as late
    open("go", "w").close()
    while not h.aio_command_completed(read): h.poll(-1)
    for i in range(51): first.answer()
    for c in clients:
        for i in range(50): c.answer()
    return first("seen")["result"]

got = [before() for i in range(rounds)]
# One chunk may be quicker than the read is when it goes to sleep.
early = sum(n <= 1 for n in got)
print("most reads" if early > rounds / 2 else got, "come first")
PY
is "$(python "$(cat chunks.py)")" "most reads come first" "a read waits for one chunk at most"

cat >reads.py <<'PY'
import nbd
from control import *
from clients import connect
handles = [connect() for i in range(4)]
client, chunks, answered, reads = Control(), 5, 0, 0
def keep_busy(h):
    """Have more requests under way than the server has threads."""
    global reads
    while h.aio_in_flight() < 32: h.aio_pread(nbd.Buffer(512), 512)
    h.poll(1)
    while h.aio_peek_command_completed() > 0:
        h.aio_command_completed(h.aio_peek_command_completed())
        reads += 1
client.socket.setblocking(False)
while reads < 20:
    for h in handles: keep_busy(h)
client.send(b"1\n" * chunks)
while answered < chunks and reads < 100000:
    for h in handles: keep_busy(h)
    try:
        answered += client.socket.recv(1000).count(b"\n")
    except BlockingIOError:
        pass
print(answered, "answers")
PY
is "$(python "$(cat reads.py)")" "5 answers" "chunks are answered while reads always wait"
stopped
done_testing
