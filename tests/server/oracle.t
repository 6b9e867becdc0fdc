#!/usr/bin/env bash
# Random requests from two clients, compared with a flat array.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

random_work 6000 600

# Sizes near page (4K), region (64K) and tree boundaries; the last is sparse,
# with a window of its end compared.
for size in 70001 1048576 9223372036854775807; do
    serve "size=$size"
    python - >out <<'PY'
import os, random
seed = int(os.environ["SEED"])
size = h.get_size()
random.seed(f"{seed} {size}")
length = min(size, 1 << 20)
base = size - length
model = bytearray(length)
page = 4096
other = nbd.NBD()
other.connect_uri(os.environ["uri"])

def some_range():
    count = random.choice((1, 2, 511, 512, 513, page - 1, page, page + 1, 3 * page,
                           65536, 65537, random.randrange(1, 200000)))
    count = min(count, length)
    offset = random.randrange(length - count + 1)
    near = random.choice((1, 512, page, 65536))
    offset = offset // near * near
    if random.random() < 0.05:
        offset = length - count
    return offset, count

def compare(offset, count, client):
    got = client.pread(count, base + offset)
    if got != model[offset:offset + count]:
        at = next(i for i in range(count) if got[i] != model[offset + i])
        raise SystemExit(f"operation {n}: byte {base + offset + at} is {got[at]}, "
                         f"not {model[offset + at]}")

for n in range(int(os.environ["WORK"])):
    offset, count = some_range()
    end = offset + count
    client = random.choice((h, other))
    what = random.choice(("read", "read", "write", "write", "zero", "trim"))
    if what == "read":
        compare(offset, count, client)
    elif what == "write":
        data = random.randbytes(count)
        client.pwrite(data, base + offset, random.choice((0, nbd.CMD_FLAG_FUA)))
        model[offset:end] = data
    elif what == "zero":
        client.zero(count, base + offset, random.choice((0, nbd.CMD_FLAG_NO_HOLE,
                                                          nbd.CMD_FLAG_FAST_ZERO)))
        model[offset:end] = bytes(count)
    else:
        # Whole pages read as zeroes; trimmed parts of the others may.
        client.trim(count, base + offset)
        got = client.pread(count, base + offset)
        first = -(-(base + offset) // page) * page - base
        last = (base + end) // page * page - base
        for i in range(offset, min(first, end)), range(max(last, offset), end):
            for j in i:
                if got[j - offset] not in (0, model[j]):
                    raise SystemExit(f"operation {n}: trim left {got[j - offset]} at {base + j}")
        model[offset:end] = got
        if first < last and any(got[first - offset:last - offset]):
            raise SystemExit(f"operation {n}: trim left something in a whole page")
compare(0, length, h)
PY
    is "$(cat out)" "" "$WORK random requests on a disk of $size bytes"

    # The map agrees: what is a hole reads as zeroes.
    python - >out <<'PY'
import os
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.connect_uri(os.environ["uri"])
length = min(h.get_size(), 1 << 20)
offset = h.get_size() - length
got = []
h.block_status(length, offset, lambda context, start, entries, err: got.extend(entries))
for count, kind in zip(got[::2], got[1::2]):
    if kind == 3 and any(h.pread(count, offset)):
        print(f"the hole at {offset} has data")
    if kind not in (0, 3):
        print(f"kind {kind} at {offset}")
    offset += count
if offset != h.get_size():
    print(f"the map ends at {offset}")
PY
    is "$(cat out)" "" "holes read as zeroes"
    stopped
done
done_testing
