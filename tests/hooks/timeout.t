#!/usr/bin/env bash
# hook-timeout is processor time: a machine that stands still, or is busy, makes no
# errors.  By the clock, a hook may take ten times as long, and at least 10 seconds.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
[ "$WATCH" != tsan ] || skip_all "what os.execute starts does not bear the sanitizer"

work='local function work() local n = 0 for i = 1, 1e5 do n = n + i end end'
serve size=1M hook-timeout=1 lua="$work
function on.read(req) work() os.execute 'kill -STOP \$PPID' work() end"
python 'print(h.pread(1, 0))' >out &
client=$!
await grep -q '^State:[[:space:]]T' "/proc/$server/status"
sleep 1.5                       # longer than hook-timeout
kill -CONT "$server"
wait "$client"
is "$(cat out)" "bytearray(b'\\x00')" "a machine that stands still is no reason to stop"
is "$(cat log)" "" "nor to complain"
stopped

serve size=1M hook-timeout=0.5 lua="$work
function on.read(req) if req.offset == 0 then work() os.execute 'sleep 11' work() end end"
is "$(python 'from clients import *; print(outcome(h.pread, 1, 0), outcome(h.pread, 1, 1))')" "EIO ok" \
    "11 seconds by the clock are too much"
like "$(cat log)" 'on\.read: .*it took 10 seconds' "the log says so"
stopped
done_testing
