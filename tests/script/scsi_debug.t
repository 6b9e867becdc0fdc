#!/usr/bin/env bash
# scripts/scsi_debug.lua: medium errors, and each Nth command.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}"
sees 'S = 512
print(r(4659 * S), r(4660 * S), r(4669 * S), r(4670 * S), r(0, 4661 * S))
print(w(4660 * S), r(4660 * S))' "ok EIO EIO ok EIO
ok EIO" "medium errors, which writes do not cure"
stopped

script opts=0x10 every_nth=3 control=ctl.sock
sees 'print(*[r(0) for i in range(7)])
print(t(h.flush), w(0))
ctl("scsi_debug { every_nth = -3 }")
print(*[w(0) for i in range(5)])
print(ctl("scsi_debug { every_nth = 0, opts = 2, medium_error_start = 1, medium_error_count = 1 }"))
print(r(0), r(512), r(1024), ctl("scsi_debug { nth = 1 }"))
for arg in "{ opts = [[x]] }", "{ opts = -1 }", "{ medium_error_start = 2048 }", "3", "": print(ctl("scsi_debug(%s)" % arg))
print(r(0), r(512), r(1024))
# A command that hangs is the only one not answered when all others are.
print(ctl("scsi_debug { every_nth = 2, opts = 4 }"))
b = [nbd.Buffer(512) for i in range(3)]
c = [h.aio_pread(b[0], 0)]
while not h.aio_command_completed(c[0]): h.poll(-1)
c = [h.aio_pread(b[1], 0)]
while ctl("fault.get([[every_nth]]):wait(60).fired") != 1: pass
c += [h.aio_pread(b[2], 0)]
while not h.aio_command_completed(c[1]): h.poll(-1)
print(h.aio_command_completed(c[0]), ctl("scsi_debug { opts = 0 }"))
while not h.aio_command_completed(c[0]): h.poll(-1)' "ok ok EIO ok ok EIO ok
ok EIO
ok ok EIO EIO EIO
None
ok EIO ok there is no nth; expected opts, every_nth, medium_error_start, medium_error_count
opts=x: expected a whole number from 0 on
opts=-1: expected a whole number from 0 on
medium_error_start=2048: expected a sector of the disk, up to 2047
expected a table of opts, every_nth, medium_error_start, medium_error_count, got 3
expected a table of opts, every_nth, medium_error_start, medium_error_count, got nil
ok EIO ok
None
False None" "each third, all from the third on, other sectors, a command that hangs"
stopped

script opts=20
sees 'print(*[r(i * 512) for i in range(20)])' "ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok" "nothing without every_nth"
stopped

refused 'medium_error_start=4660: expected a sector of the disk, up to 2047' opts=2
refused 'opts=x: expected a whole number' opts=x
refused 'medium_error_count=0: expected a whole number from 1 to' medium_error_count=0
refused 'every_nth=1.5: expected a whole number' every_nth=1.5
done_testing
