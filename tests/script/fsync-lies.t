#!/usr/bin/env bash
# scripts/fsync-lies.lua: the flush that fails takes with it what was written since
# the last good one, exactly, and the next says OK.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}"
sees 'h.pwrite(b"kept", 0)
print(t(h.flush), h.pread(4, 0))
h.pwrite(b"lost", 0); h.pwrite(b"gone", 1 << 20)
print(h.pread(4, 0), h.pread(4, 1 << 20))
print(t(h.flush), h.pread(4, 0), h.pread(4, 1 << 20), t(h.flush))
h.pwrite(b"more", 0)
print(t(h.flush), h.pread(4, 0), ctl("fsync_fails()"))
h.pwrite(b"also", 0)
print(t(h.flush), h.pread(4, 0), t(h.flush))' "ok bytearray(b'kept')
bytearray(b'lost') bytearray(b'gone')
EIO bytearray(b'kept') bytearray(b'\\x00\\x00\\x00\\x00') ok
ok bytearray(b'more') None
EIO bytearray(b'more') ok" "the usage line"
stopped

# The disk after the failed flush is the one after the good flush, with the FUA
# writes since.
random_work 300 50
script nth=2
sees 'import os, random
rnd = random.Random(int(os.environ["SEED"]))
good = bytearray(1 << 20)
def work(n, model, fua_only):
    for i in range(n):
        count = rnd.choice([1, 512, 4096, 20000]); offset = rnd.randrange((1 << 20) - count)
        data = rnd.randbytes(count)
        fua = nbd.CMD_FLAG_FUA if rnd.random() < .2 else 0
        if rnd.random() < .3:
            h.zero(count, offset, fua); data = bytes(count)
        elif rnd.random() < .1:
            h.trim(count, offset, fua); data = h.pread(count, offset)
        else: h.pwrite(data, offset, fua)
        if fua or not fua_only: model[offset:offset + count] = data
work(int(os.environ["WORK"]), good, False)
print(h.pread(1 << 20, 0) == good, t(h.flush))
work(int(os.environ["WORK"]), good, True)
print(h.pread(1 << 20, 0) == good, t(h.flush), h.pread(1 << 20, 0) == good, t(h.flush), h.pread(1 << 20, 0) == good)' \
    "True ok
False EIO True ok True" "exactly what was not flushed"
stopped

refused 'nth=0: expected a whole number from 1' nth=0
done_testing
