#!/usr/bin/env bash
# With count = 1, nth names a request by its place: the N-th that covers that byte.  It
# is the same one whatever happens elsewhere.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh
random_work 3000 300

# Each place is written in order by one client; which writes of others come between is
# chance.  The N-th write at a place is told by its length.
cat >place.py <<'PY'
from clients import *
import random
rnd = random.Random(int(os.environ["SEED"]))
PLACES, turns = 6, int(os.environ["WORK"]) // 20
wanted = {p: rnd.randrange(1, turns) for p in range(PLACES)}
for p, n in wanted.items():
    control('fault { op = "write", mark = "go", offset = %d, count = 1, nth = %d, name = "p%d", error = "EIO" }' % ((p << 16) + 2000, n, p))
def client(p):
    c, at, failed = connect(), p << 16, []
    other = random.Random(p)
    for i in range(1, turns + 1):
        for j in range(other.randrange(3)):         # close by, and not at the place
            c.pwrite(b"x" * 2000, at)
            c.pwrite(b"x", at + 2001)
            c.pread(4000, at)
        if outcome(c.pwrite, b"x" * (i + 1), at + 2000 - other.randrange(i + 1)) != "ok": failed.append(i)
    return failed
for p in range(PLACES): h.pwrite(b"x" * 9, (p << 16) + 1995)
control('disk:mark "go"')
got = together(*[lambda p=p: client(p) for p in range(PLACES)])
for p, n in wanted.items():
    last = control('fault.get("p%d").last_request' % p)
    if got[p] != [n] or (last["count"], last["number"], last["op"]) != (n + 1, n, "write"): print(p, n, got[p], last)
print("done")
PY
for script in 'local may = sleep' ''; do
    serve size=1M control="$scratch/ctl" ${script:+lua="$script"}
    is "$(python "$(cat place.py)")" "done" "the N-th write of each place after a mark, beside others"
    stopped
done
done_testing
