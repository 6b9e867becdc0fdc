#!/usr/bin/env bash
# The disk reverts while clients read and write it: each 64 KiB is before or after, so
# no block is ever mixed, and what is written after a revert stays.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
random_work 1500 100

# Each write fills one block of 4 KiB with a letter; the snapshot has "s" or the initial
# content, "f", everywhere.
cat >busy.py <<'PY'
from clients import *
import random, threading
n, seed = int(os.environ["WORK"]), int(os.environ["SEED"])
wrong, stop = [], False
def writer(k):
    rnd, c = random.Random(seed + k), connect()
    while not stop:
        block = rnd.randrange(256) * 4096
        c.pwrite(bytes([97 + rnd.randrange(3)]) * 4096, block)
        if rnd.randrange(4) == 0: c.pwrite(b"z" * 9, block + 300)
def reader(k):
    rnd, c = random.Random(seed + k), connect()
    while not stop:
        data = c.pread(65536, rnd.randrange(16) * 65536)
        for b in range(0, 65536, 4096):
            rest = set(data[b:b + 300] + data[b + 309:b + 4096])
            if len(rest) > 1 or not rest <= set(b"abcsf"): wrong.append(rest)
ts = [threading.Thread(target=f, args=(k,)) for k, f in enumerate((writer, writer, writer, reader, reader))]
for t in ts: t.start()
for i in range(n): h.flush()
stop = True
for t in ts: t.join()
h.flush()
print(wrong[:3], set(h.pread(1 << 20, 0)) <= set(b"sf"), end=" ")
h.pwrite(b"last", 4096)
print(h.pread(5, 4096) in (b"lasts", b"lastf"))
PY
for content in 'disk:fill(0, "1M", "s")' 'function on.fill(offset, count) return ("f"):rep(count) end
disk:fill("512K", "512K", "s")'; do
    serve size=1M lua="$content"'
disk:snapshot "all"
function on.flush() disk:revert "all" end'
    is "$(python "$(cat busy.py)")" "[] True True" "no block is mixed"
    stopped
done
done_testing
