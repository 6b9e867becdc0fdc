#!/usr/bin/env bash
# Sectors turn bad and good while clients work: nothing but EIO happens, a sector
# that was healed stays good, and snapshots have no bad sectors.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

random_work 1500 200
serve size=4M control=ctl.sock
cat >changes.py <<'PY'
from clients import *
import random
import threading
control = Control()
random.seed(os.environ["SEED"])
h.pwrite(b"a" * (4 << 20), 0)
control("disk:snapshot 'before'")
seen = set()
done = False
def work(n):
    r = random.Random(n)
    c = connect()
    while not done:
        offset = r.randrange(8192 - 64) * 512
        for call in (lambda: c.pread(4096, offset), lambda: c.pwrite(b"a" * 4096, offset), lambda: c.cache(512, offset)):
            seen.add(outcome(call))
threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
for t in threads:
    t.start()
for n in range(int(os.environ["WORK"])):
    offset = random.randrange(8192) * 512
    control(f"disk:{random.choice(('bad', 'bad', 'heal'))}({offset}, 512)")
    if n % 50 == 0:
        control("return #disk:bad()")
done = True
for t in threads:
    t.join()
print(sorted(seen, key=str))
control("disk:bad(0, '4M')")
s = connect("before")
print(outcome(h.pread, 512, 0), outcome(s.pread, 512, 0), outcome(s.pwrite, b"b", 77))
control("disk:snapshot 'after'")
print(outcome(connect("after").pread, 512, 0), outcome(h.pread, 512, (4 << 20) - 512))
control("disk:heal()")
print(h.pread(4 << 20, 0) == b"a" * (4 << 20))
PY
is "$(python - <changes.py)" "['EIO', 'ok']
EIO ok ok
ok EIO
True" "changes while clients work; snapshots"
alive "the server is alive"
stopped
done_testing
