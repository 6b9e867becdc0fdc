#!/usr/bin/env bash
# on.close may sleep while the server runs; when the server ends, it holds up nobody.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Its client has gone, and others are served meanwhile.
serve size=1M lua='function on.close(c) print("in", c.id) sleep "200ms" print("out", c.id) end'
python 'from clients import *
h.shutdown()
until(lambda: "in" in log())
print(connect().pread(1, 0))
until(lambda: "out\t1" in log())' >out
is "$(cat out)" "bytearray(b'\\x00')" "others are served while it sleeps"
is "$(grep -c '^out.1$' log)" 1 "it wakes up"
stopped

serve size=1M lua='function on.close(c) print("in", c.id) sleep(100000) print("out", c.id) end'
python 'from clients import *; h.shutdown(); until(lambda: "in" in log())'
stopped_at_once "a sleep in on.close"
is "$(grep '^out' log)" "" "the rest is not done"

# Hooks that run without end, of many clients that leave at once: one hook-timeout
# in all, of processor time, from when the server is to end.  (Before that each has its
# own, which counts where the machine is slow to ask it to.)
serve size=1M hook-timeout=2 lua='function on.close(c) print("in", c.id) while true do end end'
python 'from clients import *
cs = [connect() for i in range(8)]
os.kill(os.getpid(), signal.SIGKILL)' 2>/dev/null
await grep -q '^in' log
stop
is $? 0 "the server ends in good order"
ok $((ending > 10000)) "hooks that run without end share one hook-timeout" || echo "$ending ms" | tell
done_testing
