#!/usr/bin/env bash
# scripts/dm-delay.lua: reads, writes and flushes take at least so long.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

time='def took(least, f, *a):
    start = time.monotonic(); f(*a)
    return time.monotonic() - start >= least
'
serve "${usage[@]}"
sees "$time
print(took(.05, h.pread, 512, 0), took(.1, h.pwrite, bytes(512), 0), took(.1, h.trim, 512, 0),
      took(.1, h.zero, 512, 0), took(.333, h.flush))
ctl('dm_delay(0, 20)')
print(took(.02, h.pwrite, bytes(512), 0), took(.02, h.flush), ctl('fault.list()[1].name'))
ctl('dm_delay(20)')
print(took(.02, h.pread, 512, 0), took(.02, h.zero, 512, 0), took(.02, h.flush))
for call in '[[20ms]]', '-1', '', '20, false', '20, 20, 1.5', '1e10': print(ctl('dm_delay(' + call + ')'))
print(ctl('fault.list()[1].name'), ctl('#fault.list()'))" "True True True True True
True True dm-delay write_delay
True True True
delay=20ms: expected a whole number of milliseconds from 0 to 4294967295
delay=-1: expected a whole number of milliseconds from 0 to 4294967295
delay=nil: expected a whole number of milliseconds from 0 to 4294967295
write_delay=false: expected a whole number of milliseconds from 0 to 4294967295
flush_delay=1.5: expected a whole number of milliseconds from 0 to 4294967295
delay=10000000000.0: expected a whole number of milliseconds from 0 to 4294967295
dm-delay delay 1" "the usage line, and other delays at run time"
stopped

script delay=20
sees "$time
print(took(.02, h.pread, 512, 0), took(.02, h.pwrite, bytes(512), 0), took(.02, h.flush))" \
    "True True True" "one delay is for all"
stopped

serve size=1M hooks=scripts/dm-delay.lua delay=20
sees "print(r(0))" ok "reads only"
stopped
no_complaints
serve size=1M hooks=scripts/dm-delay.lua delay=20 write_delay=20
sees "print(r(0))" ok "reads only, but a delay of writes was asked for"
stopped
like "$(cat log)" 'fault rule dm-delay write_delay \(.*\) never fired' "which is pointed out"

refused 'delay=50ms: expected a whole number of milliseconds' delay=50ms
refused 'write_delay=-1: expected a whole number of milliseconds from 0 to' write_delay=-1
refused 'flush_delay=: expected' flush_delay=
done_testing
