#!/usr/bin/env bash
# Bad sectors: a read that touches one fails, as does a write that covers only a
# part of one; a write, zero or trim that covers it as a whole makes it good.
# All other requests, and what is stored, are not affected.  Random requests and
# changes are compared with a model.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

random_work 4000 400
cat >oracle.py <<'PY'
from clients import *
import random
control = Control()
h = connect()
clients = [h, connect(), connect()]
size = h.get_size()
random.seed(f"{os.environ['SEED']} {size}")
length = min(size, 300001)
base = (size - length) // 512 * 512
length = size - base
sectors = (length + 511) // 512
model = bytearray(random.randbytes(length))
bad = set()
h.pwrite(model, base)

def touched(offset, count):
    return range(offset // 512, (offset + count + 511) // 512) if count else range(0)

def whole(offset, count):
    end = sectors if offset + count == length else (offset + count) // 512
    return range((offset + 511) // 512, end)

# The outcome of a request, which changes the model.
def expect(what, offset, count, data):
    met = bad.intersection(touched(offset, count))
    if what in ("write", "zero"):
        met -= set(whole(offset, count))
    if what != "trim" and met:
        return "EIO"
    if what in ("write", "zero", "trim"):
        bad.difference_update(whole(offset, count))
        model[offset:offset + count] = data or bytes(count)
    return "ok"

def listed():
    ranges = []
    for s in sorted(bad):
        if ranges and ranges[-1][1] == s:
            ranges[-1][1] = s + 1
        else:
            ranges.append([s, s + 1])
    return [{"offset": base + s * 512, "count": min(e * 512, length) - s * 512} for s, e in ranges]

def some_range():
    count = random.choice((1, 2, 511, 512, 513, 1024, 4096, 5000, random.randrange(1, 30000)))
    offset = random.randrange(length - count + 1)
    if random.random() < 0.5:
        offset -= offset % 512
    if random.random() < 0.1:
        offset = length - count
    return offset, count

def differs(n, what, got, expected):
    if got != expected:
        print(f"request {n}: {what}: {got}, not {expected}")
        os._exit(1)

work = int(os.environ["WORK"])
for n in range(work):
    what = random.choice(("bad", "bad", "heal", "read", "read", "read", "write", "write", "zero", "trim", "cache"))
    offset, count = some_range()
    who = random.choice(clients)
    if what == "bad":
        count = min(count, 3000)
        control(f"disk:bad({base + offset}, {count})")
        bad.update(touched(offset, count))
    elif what == "heal":
        control(f"disk:heal({base + offset}, {count})")
        bad.difference_update(touched(offset, count))
    elif what == "read":
        got = "EIO"
        try:
            got = who.pread(count, base + offset)
        except nbd.Error as e:
            differs(n, what, e.errno, "EIO")
        if expect(what, offset, count, None) == "EIO":
            differs(n, f"read at {offset} of {count}", got, "EIO")
        elif got != model[offset:offset + count]:
            differs(n, f"read at {offset} of {count}", "wrong data", "data")
    else:
        data = random.randbytes(count) if what == "write" else None
        got = outcome(who.pwrite, data, base + offset) if data else outcome(getattr(who, what), count, base + offset)
        differs(n, f"{what} at {offset} of {count}", got, expect(what, offset, count, data))
    if n % 50 == 0:
        differs(n, "list", control("disk:bad()"), listed())
differs("end", "list", control("disk:bad()"), listed())
control("disk:heal()")
differs("end", "list", control("disk:bad()"), [])
if h.pread(length, base) != model:
    print("the data has changed")
PY
for size in 200001 $(((1 << 63) - 1)); do
    serve size=$size control=ctl.sock
    is "$(python - <oracle.py)" "" "$WORK random requests on a disk of $size bytes" || sed 's/^/# /' log
    stopped
done
done_testing
