#!/usr/bin/env bash
# scripts/spdk-error.lua: so many errors of each kind, then none.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}"
sees 'def inject(**e): return ctl("bdev_error_inject_error { %s }" % ", ".join("%s = [[%s]]" % i for i in e.items()))
print(*[r(0) for i in range(5)], w(0))
print(inject(io_type="write", error_type="nomem", num=2), *[w(0) for i in range(3)])
inject(io_type="all", error_type="failure")
print(r(0), w(0), t(h.trim, 512, 0), t(h.flush), t(h.zero, 512, 0), r(0), w(0), t(h.trim, 512, 0), t(h.flush))
inject(io_type="all", error_type="failure", num=9)
print(r(0), inject(io_type="clear"), r(0), w(0), t(h.flush))
h.pwrite(b"abcd", 0)
inject(io_type="read", error_type="corrupt_data", corrupt_offset=1, corrupt_value=3)
print(h.pread(4, 0), h.pread(4, 0))
inject(io_type="write", error_type="corrupt_data", num=2)
h.pwrite(b"\0\0", 0); h.pwrite(b"\xff\0", 2); h.pwrite(b"z", 4); print(h.pread(5, 0))
inject(io_type="read", error_type="pending")
b = nbd.Buffer(512)
c = h.aio_pread(b, 0)
for i in range(10): h.poll(10)
print(h.aio_command_completed(c), r(0), inject(io_type="clear"))
try:
    while not h.aio_command_completed(c): h.poll(-1)
except nbd.Error as e: print(e.errno)
print(inject(io_type="read", error_type="failure", num=2))
print(ctl("bdev_error_inject_error { io_typ = [[read]] }"))
for arg in "{}", "", "[[read]]": print(ctl("bdev_error_inject_error(%s)" % arg))
print(r(0))
print(inject(io_type="reed"), inject(io_type="read", error_type="x"), inject(io_type="read", corrupt_value=256))' \
"EIO EIO EIO ok ok ok
None ENOMEM ENOMEM ok
EIO EIO EIO EIO ok ok ok ok ok
EIO None ok ok ok
bytearray(b'aacd') bytearray(b'abcd')
bytearray(b'\\xff\\x00\\x00\\x00z')
False ok None
EIO
None
there is no io_typ; expected io_type, error_type, num, corrupt_offset, corrupt_value
io_type=nil: expected all, clear, flush, read, unmap, write
expected a table of io_type, error_type, num, corrupt_offset, corrupt_value, got nil
expected a table of io_type, error_type, num, corrupt_offset, corrupt_value, got read
EIO
io_type=reed: expected all, clear, flush, read, unmap, write error_type=x: expected corrupt_data, failure, nomem, pending corrupt_value=256: expected a whole number from 1 to 255" "errors of all kinds"
stopped
script io_type=all
sees 'print(r(0))' EIO "one of all"
stopped
no_complaints
script io_type=read
stopped
like "$(cat log)" 'fault rule bdev_error read \(.*\) never fired' "none at all"

refused 'io_type=nil: expected all, clear' error_type=failure
refused 'io_type=reed: expected all, clear' io_type=reed
refused 'error_type=x: expected corrupt_data' error_type=x
refused 'num=0: expected a whole number from 1' num=0
refused 'corrupt_offset=x: expected a whole number' corrupt_offset=x
done_testing
