#!/usr/bin/env bash
# disk:limit: a thin pool.  The disk never allocates more than the limit, and can
# use all of it; what is trimmed or zeroed is free again.  Random requests and
# limits are compared with a model that counts pages.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

random_work 3000 300
cat >oracle.py <<'PY'
from clients import *
import random
control = Control()
h = connect()
size = h.get_size()
random.seed(f"{os.environ['SEED']} {size}")
page = 4096
length = min(size, 500001)
base = (size - length) // page * page
length = size - base
model = bytearray(length)
used = set()
limit = 1 << 70

def pages(offset, count):
    return set(range(offset // page, (offset + count + page - 1) // page)) if count else set()

def inside(offset, count):
    end = (length + page - 1) // page if offset + count == length else (offset + count) // page
    return set(range((offset + page - 1) // page, end))

def check(n, what, got, expected):
    if got != expected:
        print(f"request {n}: {what}: {got}, not {expected}")
        os._exit(1)

for n in range(int(os.environ["WORK"])):
    what = random.choice(("write", "write", "write", "trim", "zero", "limit"))
    count = random.choice((1, 100, page - 1, page, page + 1, 3 * page, random.randrange(1, 60000)))
    offset = random.randrange(length - count + 1)
    if random.random() < 0.4:
        offset -= offset % page
    if random.random() < 0.1:
        offset = length - count
    if what == "limit":
        limit = random.choice((0, len(used) * page, len(used) * page + 8191, random.randrange(length), 1 << 70))
        control(f"disk:limit({'' if limit == 1 << 70 else limit})")
        continue
    if what == "write":
        data = random.randbytes(count)
        new = used | pages(offset, count)
        expected = "ENOSPC" if len(new) > len(used) and len(new) * page > limit else "ok"
        check(n, f"write at {offset} of {count}", outcome(h.pwrite, data, base + offset), expected)
        if expected == "ok":
            used = new
            model[offset:offset + count] = data
    else:
        check(n, what, outcome(getattr(h, what), count, base + offset), "ok")
        used -= inside(offset, count)
        model[offset:offset + count] = bytes(count)
    if n % 20 == 0:
        check(n, "allocated", control("disk:stats().allocated"), len(used) * page)
check("end", "allocated", control("disk:stats().allocated"), len(used) * page)
check("end", "data", h.pread(length, base) == model, True)
PY
for size in 200001 $(((1 << 63) - 1)); do
    serve size=$size control=ctl.sock
    is "$(python - <oracle.py)" "" "$WORK random requests on a disk of $size bytes" || sed 's/^/# /' log
    stopped
done
done_testing
