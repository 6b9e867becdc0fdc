#!/usr/bin/env bash
# scripts/dm-delay.lua: reads, writes and flushes take at least so long.
. "$(dirname "$0")/lib.sh"
. "$TOP/tests/script-lib.sh"

time='def took(least, f, *a):
    start = time.monotonic(); f(*a)
    return time.monotonic() - start >= least
'
serve "${usage[@]}"
sees "$time
print(took(.05, h.pread, 512, 0), took(.1, h.pwrite, bytes(512), 0), took(.1, h.trim, 512, 0),
      took(.1, h.zero, 512, 0), took(.333, h.flush))
ctl('dm_delay(0, 20)')
print(took(.02, h.pwrite, bytes(512), 0), took(.02, h.flush), ctl('#fault.list()'))
ctl('dm_delay(20)')
print(took(.02, h.pread, 512, 0), took(.02, h.zero, 512, 0), took(.02, h.flush))" "True True True True True
True True 2
True True True" "the usage line, and other delays at run time"
stopped

script delay=20
sees "$time
print(took(.02, h.pread, 512, 0), took(.02, h.pwrite, bytes(512), 0), took(.02, h.flush))" \
    "True True True" "one delay is for all"
stopped

refused 'delay=50ms: expected a whole number of milliseconds' delay=50ms
refused 'write_delay=-1: expected a whole number of milliseconds from 0 on' write_delay=-1
refused 'flush_delay=: expected' flush_delay=
done_testing
