#!/usr/bin/env bash
# Many rules have regions of all sizes, and some are removed again: each request meets
# exactly those that a search through all of them finds.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
random_work 2000 200

cat >index.py <<'PY'
from clients import *
import random
rnd = random.Random(int(os.environ["SEED"]))
M, SIZE = 1 << 20, (1 << 63) - 1
def region():
    size = rnd.choice([1, 511, 4096, 65536, M])
    base = rnd.choice([0, 0, 0, 1 << 40, SIZE - 4 * M])
    start = base + rnd.randrange(4 * M - size)
    return start, min(size, SIZE - start)
made = {}
number = 0
def change():
    global number
    number += 1
    name, ops = "r%d" % number, rnd.choice([["read"], ["write"], ["read", "write"], ["read", "flush"]])
    r = None if rnd.random() < 0.02 else region()
    where = "" if r is None else "offset=%d, count=%d," % r
    control('fault { name="%s", op={%s}, %s lose=true }' % (name, ",".join('"%s"' % o for o in ops), where))
    made[name] = [ops, r, 0]
    if rnd.random() < 0.3:
        gone = rnd.choice(list(made))
        control('fault.get("%s"):remove()' % gone)
        del made[gone]
for i in range(300): change()
for i in range(int(os.environ["WORK"])):
    if rnd.random() < 0.02: change()
    op = rnd.choice(["read", "write", "flush"])
    start, count = region()
    if op == "read": h.pread(count, start)
    elif op == "write": h.pwrite(bytes(count), start)
    else: h.flush()
    for r in made.values():
        if op in r[0] and (r[1] is None or (op != "flush" and r[1][0] < start + count and start < sum(r[1]))):
            r[2] += 1
got = {name: r["hits"] for name, r in rules().items()}
want = {name: r[2] for name, r in made.items()}
wrong = {name: (got.get(name), n) for name, n in want.items() if got.get(name) != n}
print(len(got) == len(want), wrong)
PY
serve size=$(((1 << 63) - 1)) control="$scratch/ctl"
is "$(python "$(cat index.py)")" "True {}" "each rule matched what it should"

# More rules match than there is room for at first: none is forgotten.
"$TOP/memctl" ctl 'fault.clear() for i = 1, 100 do fault { op = "flush", nth = i, error = "ENOSPC" } end' >/dev/null
like "$(python 'n = 0
for i in range(101):
    try: h.flush()
    except nbd.Error as e: n += e.errno == "ENOSPC"
print(n)')" '^100$' "a hundred rules count each flush"
stopped

# Ten thousand rules in one chunk: the time for this does not count as the chunk's.
serve size=1G control="$scratch/ctl"
is "$("$TOP/memctl" ctl 'for i = 1, 10000 do fault { op = "any", offset = i * 4096, count = 4096, error = "EIO", name = "rule" .. i } end
return #fault.list()' 2>&1)" 10000 "ten thousand rules are soon declared"
is "$(python 'for i in 1, 10000:
    for offset in i * 4096 - 1, i * 4096 + 4095:
        try: print(len(h.pread(1, offset)))
        except nbd.Error as e: print(e.errno)')" $'1\nEIO\nEIO\nEIO' "and all are there"
stopped
done_testing
