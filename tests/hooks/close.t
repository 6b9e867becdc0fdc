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
# in all, of processor time.
# cpu: sets $cpu to the seconds that all that has ended has used.  (A subshell has
# times of its own.)
cpu ()
{
    times >times.out
    cpu=$(awk 'NR == 2 { split($1, u, /[ms]/); split($2, s, /[ms]/); print int(u[1] * 60 + u[2] + s[1] * 60 + s[2]) }' times.out)
}
serve size=1M hook-timeout=2 lua='function on.close(c) print("in", c.id) while true do end end'
python 'from clients import *
cs = [connect() for i in range(8)]
os.kill(os.getpid(), signal.SIGKILL)' 2>/dev/null
await grep -q '^in' log
cpu; before=$cpu
stop
is $? 0 "the server ends in good order"
cpu; used=$((cpu - before))
ok $((used > 10)) "nine hooks that run without end share one hook-timeout" || echo "$used s" | tell
done_testing
