#!/usr/bin/env bash
# Many requests that hang cost next to nothing, and are released together.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
[ -z "$WATCH" ] || skip_all "$WATCH has costs of its own"
[ -r /proc/self/stat ] || skip_all "there is no /proc"

serve size=1M control=ctl lua='fault { op = "read", hang = true, name = "h" }'
cat >hang.py <<'PY'
from clients import *
# More than this nbdkit may serve at the same time wait in their connections.
cs = [connect() for i in range(60)]
reads = [[c.aio_pread(nbd.Buffer(512), 0) for i in range(16)] for c in cs]
for c in cs:
    while c.aio_get_direction() & nbd.AIO_DIRECTION_WRITE:
        c.poll(-1)
open("ready", "w").close()
print([o for c, r in zip(cs, reads) for o in finish(c, r)].count("ok"))
PY
at_work python "$(cat hang.py)"
hanging () { "$TOP/memctl" ctl 'fault.get("h").fired'; }
enough () { [ "$(hanging)" -ge 60 ]; }
await enough
sleep 1                         # let all of them arrive
ticks () { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
before=$(ticks)
sleep 3
used=$(($(ticks) - before))
ok $((used > 3 * $(getconf CLK_TCK) / 5)) "$(hanging) requests hang, at less than a fifth of a processor" ||
    echo "$used ticks in 3 s" | tell
"$TOP/memctl" ctl 'fault.clear()'
wait "$client"
is "$(cat client.out)" 960 "all are released"
stopped
done_testing
