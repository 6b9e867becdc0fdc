#!/usr/bin/env bash
# scripts/fake-capacity.lua: past its real size, the disk is zeroes, or wraps around,
# exact to the byte.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy

serve "${usage[@]}"
sees 'M = 1 << 20
print(w(8 * M - 512), w(8 * M), h.pread(1024, 8 * M - 512) == b"w" * 512 + bytes(512))' \
    "ok ok True" "the usage line"
stopped

# Requests of all kinds against a model, byte by byte.
for mode in limbo wrap; do
    random_work 1000 300
    script size=100000 real=30011 mode=$mode
    SEED=$SEED WORK=$WORK MODE=$mode sees 'import os, random
rnd, real, size = random.Random(int(os.environ["SEED"])), 30011, 100000
wraps = os.environ["MODE"] == "wrap"
model = bytearray(real)
def store(offset, data):
    for i, byte in enumerate(data, offset):
        if wraps or i < real: model[i % real] = byte
def expected(offset, count):
    return bytes(model[i % real] if wraps or i < real else 0 for i in range(offset, offset + count))
spanned = past = 0
for i in range(int(os.environ["WORK"])):
    count = rnd.choice([1, 511, 512, 4096, 4097, rnd.randrange(1, 40000)])
    offset = rnd.choice([real, rnd.randrange(size), real - rnd.randrange(1, 5000), 4096 * rnd.randrange(20)])
    offset = min(offset, size - count)
    spanned += offset < real < offset + count
    past += offset >= real
    op = rnd.choice("rrwwzt")
    if op == "w":
        data = rnd.randbytes(count)
        h.pwrite(data, offset)
        store(offset, data)
    elif op == "z":
        h.zero(count, offset)
        store(offset, bytes(count))
    elif op == "t":
        h.trim(count, offset)
        store(offset, bytes(count))
    if h.pread(count, offset) != expected(offset, count):
        print("differs:", i, op, offset, count)
        break
print(h.pread(size, 0) == expected(0, size), spanned > 0, past > 0)' \
        "True True True" "$mode: as in the model"
    stopped
done

# Whoever asks for holes sees what wraps.
script size=1M real=300K mode=wrap
sees 'print(w(0, 4096))' "ok" "a write"
check "a copy" nbdcopy "$uri" copy
is "$(head -c 302K copy | tail -c 2K | tr -d w | wc -c) $(head -c 100K copy | tail -c 90K | tr -d '\0' | wc -c)" \
    "0 0" "is right"
stopped

# Rules meet requests past the end; nothing stays there; content of the beginning is gone.
script size=1M real=512K control=ctl.sock log=faults.log \
    lua='disk:random(0, disk.size) disk:snapshot "whole"
fault { op = "write", offset = "600K", count = 4096, nth = 2, error = "ENOSPC", keep = 512 }'
sees 'M = 1 << 20
print(w(614400, 4096), w(614400, 4096), h.pread(4096, 614400) == bytes(4096), h.pread(4096, 600000) == bytes(4096))
print(ctl("disk:read(614400, 4096) == (\"\\0\"):rep(4096)"))' "ok ENOSPC True True
True" "rules, initial content"
stopped

# Snapshots are left alone by writes past the end.
script size=1M real=512K mode=wrap control=ctl.sock lua='disk:fill(0, "1M", "x") disk:snapshot "old"'
export uri="nbd+unix:///old?socket=$sock"
sees 'print(w(524288), w(524288 - 256), h.pread(1, 524288), h.pread(1, 0), ctl("disk:read(0, 3)"))' \
    "ok ok bytearray(b'w') bytearray(b'x') xxx" "a snapshot"
stopped

refused 'fake-capacity.lua: say how much there is: real=SIZE'
refused 'real=x: expected bytes' real=x
refused 'real=0: expected from 1 to less than the size of the disk, 1048576' real=0
refused 'real=1M: expected from 1 to less than' real=1M
refused 'mode=round: expected limbo, wrap' real=8K mode=round
done_testing
