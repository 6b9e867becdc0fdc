#!/usr/bin/env bash
# scripts/spinning-disk.lua: how long the arm takes depends on how far it goes.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}" log=delays
sees 'G = 1 << 30
start = time.monotonic()
r(0); r(512); w(1024)                   # in order
r(0); r(G - 512); w(G // 4)             # there and back
print(time.monotonic() - start > .030)' True "it takes time"
stopped
# 4.1667 ms is half a turn.
is "$(sed -n 's/.*"offset":\([0-9]*\),.*"delay":\([0-9.]*\).*/\1 \2/p' delays | awk '{ printf "%s %.1f\n", $1, $2 * 1e4 }')" \
"0 46.8
1073741312 191.7
268435456 172.2" "how long: nothing in order, 15 ms and half a turn across the disk"

script size=1G log=delays rpm=60000 seek_min=1ms seek_max=1ms
sees 'print(r(512), r(0))' "ok ok" "a faster one"
stopped
is "$(grep -c '"delay":0.0015}' delays)" 2 "its time"

script rpm=7200
sees 'print(r(0), r(512))' "ok ok" "in order"
stopped
no_complaints

refused 'rpm=0: expected a whole number from 1' rpm=0
refused 'seek_max=fast: expected a time' seek_max=fast
refused 'seek_max=0.001: expected seek_min at least' seek_min=2ms seek_max=1ms
done_testing
