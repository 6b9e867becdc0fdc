#!/usr/bin/env bash
# Many requests, recorded, saved and replayed: at random moments, random states are the same.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"
random_work 20000 2000

cat >many.py <<'PY'
from clients import *
import random
rnd, work, size = random.Random(os.environ["SEED"]), int(os.environ["WORK"]), 16 << 20
c, buf = connect(), nbd.Buffer.from_bytearray(bytearray(range(256)) * 256)
def one():
    n = rnd.choice((512, 4096, 4096, 4096, 16384, 100))
    at, kind, fua = rnd.randrange(size - n) // 512 * 512, rnd.random(), nbd.CMD_FLAG_FUA if rnd.random() < 0.01 else 0
    if kind < 0.02: return lambda done: c.aio_flush(completion=done)
    if kind < 0.05: return lambda done: c.aio_zero(n, at, completion=done, flags=fua)
    b = nbd.Buffer.from_bytearray(bytearray([1 + rnd.randrange(255)]) * n)
    return lambda done: c.aio_pwrite(b, at, completion=done, flags=fua)
print(set(flood(c, [one() for _ in range(work)])))
PY

# A digest of the state at each of a hundred moments.
cat >names.py <<'PY'
from clients import *
import random
rnd = random.Random("names" + os.environ["SEED"])
last = control("local n = 0 for e in disk:history() do if e.kind == [[request]] then n = e.number end end return n")
for i in range(100):
    n = rnd.randrange(1, last + 1)
    how = rnd.choice(("requests", "sectors"))
    for s in control(f"local t = {{}} for s in disk:states {{ point = {n}, how = [[random]], units = [[{how}]], seed = {i}, count = 1 }}"
                     " do t[1] = { s.name, s.digest, s.requests, s.legal } end return t"):
        print(*s)
PY

cached 16M history=4G hook-timeout=1000
is "$(python "$(cat many.py)")" "{'ok'}" "$WORK requests are recorded"
python "$(cat names.py)" >before.txt
"$TOP/memctl" ctl 'disk:save_history "history"' >/dev/null
stopped
rm -f ctl
serve replay=history control=ctl hook-timeout=1000
python "$(cat names.py)" >after.txt
is "$(wc -l <after.txt)$(cmp before.txt after.txt 2>&1)" 100 "a hundred states are the same"
stopped
done_testing
