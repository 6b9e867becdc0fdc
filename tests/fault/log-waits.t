#!/usr/bin/env bash
# log=FILE: how waiting ended, in rules, in their functions and in hooks.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

cat >waits.lua <<'LUA'
fault { op = "read", offset = 0, count = 1, hang = true, name = "released" }
fault { op = "read", offset = 1, count = 1, hang = true, name = "removed" }
fault { op = "read", offset = 2, count = 1, hang = true, delay = "1us", name = "left" }
fault { op = "read", offset = 3, count = 1, delay = 300, name = "late" }
fault { op = "read", offset = 4, count = 1, when = function() hang() end, error = "EIO", name = "function", optional = true }
fault { op = "read", offset = 5, count = 1, hang = true, call = function() end, name = "call" }
fault { op = "read", offset = 6, count = 1, delay = "1us", name = "in time" }
function on.write() hang() end
LUA
for how in left ends; do
    serve size=1M control="$scratch/ctl" log=waits.log hooks=waits.lua
    HOW=$how at_work nbdsh -u "$uri" -c 'from clients import *
cs = [connect() for i in range(4)]
for i in range(7): cs[0].aio_pread(nbd.Buffer(1), i)
cs[1].aio_pwrite(nbd.Buffer(1), 0)
until(lambda: sum(r["fired"] for r in rules().values()) == 6)
until(lambda: control("disk:stats().read.requests") == 1)
control("fault.get([[released]]):release() fault.get([[removed]]):remove()")
until(lambda: control("disk:stats().read.requests") == 3)
open("ready", "w").close()
if os.environ["HOW"] == "ends":
    until(lambda: open("waits.log").read().count("server ends") == 5)'
    if [ $how = left ]; then
        wait "$client"
        until [ "$(grep -c 'client left' waits.log)" -ge 5 ]; do sleep 0.02; done
    fi
    stop
    why="client left"
    [ $how = left ] || why="server ends"
    is "$(read_log waits.log 'for l in lines:
    if "did" in l: print(l.get("hook") or l.get("rule"), l["did"])' | sort)" "call {'hang': True, 'ended': '$why'}
function {'ended': '$why'}
in time {'delay': 1e-06}
late {'delay': 300}
late {'ended': '$why'}
left {'delay': 1e-06, 'hang': True}
left {'ended': '$why'}
released {'ended': 'released'}
released {'hang': True}
removed {'ended': 'removed'}
removed {'hang': True}
write {'ended': '$why'}" "how waiting ended: $why"
done
done_testing
