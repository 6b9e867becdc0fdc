#!/usr/bin/env bash
# Random requests to a disk with initial content, compared with a flat array.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

random_work 1500 150
cat >oracle.lua <<'LUA'
-- Each byte depends on its offset; every seventh page is zeroes.
function on.fill(offset, count)
  local t = {}
  for p = offset // 4096, (offset + count - 1) // 4096 do
    t[#t + 1] = p % 7 == 3 and ("\0"):rep(4096) or string.pack(">I4", p & 0xffffffff):rep(1024)
  end
  if offset // 4096 % 5 == 1 then sleep(0) end
  return table.concat(t):sub(1, count)
end
function on.flush() disk:snapshot "moment" end
LUA
for size in 1000001 $(((1 << 62) + 4097)); do
    serve size=$size hooks=oracle.lua
    cat >oracle.py <<'PY'
from clients import *
import random
h = connect()
clients = [h, connect(), connect()]
size = h.get_size()
random.seed(f"{os.environ['SEED']} {size}")
length = min(size, 1000001)
base = (size - length) // 4096 * 4096
length = size - base
page = 4096
model = bytearray()
for p in range(base // page, (size - 1) // page + 1):
    model += bytes(page) if p % 7 == 3 else (p & 0xffffffff).to_bytes(4, "big") * 1024
del model[length:]
def compare(who, model, offset, count, n):
    got = who.pread(count, base + offset)
    if got != model[offset:offset + count]:
        at = next(i for i in range(count) if got[i] != model[offset + i])
        print(f"request {n}: byte {base + offset + at} is {got[at]}, not {model[offset + at]}")
        os._exit(1)
saved = moment = None
work = int(os.environ["WORK"])
for n in range(work):
    count = min(random.choice((1, 512, page - 1, page, page + 1, 3 * page, 65536, random.randrange(1, 300000))), length)
    if random.random() < 0.6:
        near = random.choice((512, page))
        offset = min(random.randrange(length - count + 1) // near * near, length - count)
    else:
        offset = random.randrange(length - count + 1)
    if random.random() < 0.05:
        offset = length - count
    who = random.choice(clients)
    what = random.choice(("read", "read", "write", "write", "zero", "trim", "map"))
    if what == "read":
        compare(who, model, offset, count, n)
    elif what == "write":
        data = random.choice((random.randbytes(count), bytes(count)))
        who.pwrite(data, base + offset)
        model[offset:offset + count] = data
    elif what == "map":
        at = offset
        for c, kind in extents(who, count, base + offset):
            if kind == 3 and any(model[at:at + c]):
                print(f"request {n}: the hole at {base + at} has data")
            at += c
    else:
        getattr(who, what)(count, base + offset)
        model[offset:offset + count] = bytes(count)
    if n == work // 3:
        h.flush()
        moment, saved = connect("moment"), bytes(model)
compare(h, model, 0, length, "last")
compare(moment, saved, 0, length, "snapshot")
PY
    is "$(python "$(cat oracle.py)")" "" "$WORK random requests on a disk of $size bytes" || sed 's/^/# /' log
    stopped
done
done_testing
