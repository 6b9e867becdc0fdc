#!/usr/bin/env bash
# disk:limit: eight clients that write as long as they can, and free some pages at
# times, fill the pool exactly.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

random_work 60 6
serve --threads=4 size=1G control=ctl.sock
cat >clients8.py <<'PY'
from clients import *
import random
import threading
control = Control()
limit = 4 << 20
problems = []
counts = [0] * 8

def fill(n, r):
    c, refused = connect(), 0
    while refused < 20:
        count = r.choice((4096, 4096, 8192, 5000))
        offset = r.randrange(0, 1 << 18) * 4096
        if r.random() < 0.1:
            c.trim(65536, min(offset, (1 << 30) - 65536))
            continue
        got = outcome(c.pwrite, bytes([n + 1]) * count, offset)
        if got == "ENOSPC":
            refused += 1
        elif got != "ok":
            problems.append(got)
    # To the last page.
    while outcome(c.pwrite, b"x" * 4096, r.randrange(0, 1 << 18) * 4096) == "ok":
        counts[n] += 1

done = False
most = 0
def watch():
    global most
    control = Control()
    while not done:
        most = max(most, control("disk:stats().allocated"))

watcher = threading.Thread(target=watch)
watcher.start()
full = []
for n in range(max(1, int(os.environ["WORK"]) // 20)):
    control(f"disk:limit({limit})")
    threads = [threading.Thread(target=fill, args=(i, random.Random(f"{os.environ['SEED']} {n} {i}"))) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    full.append(control("disk:stats().allocated"))
    if n % 2:
        h.trim(1 << 30, 0)
        # Nothing is left.
        full[-1] += control("disk:stats().allocated")
done = True
watcher.join()
print(problems, most <= limit or most, set(full) == {limit} or full)
PY
is "$(python - <clients8.py)" "[] True True" "eight clients fill it exactly"
stopped
done_testing
