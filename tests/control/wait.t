#!/usr/bin/env bash
# Chunks change rules and hooks at run time, and wait for them: rule:wait returns
# when its rule has fired, and says why if it has not.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh python3

memctl () { timeout 600 "$TOP/memctl" ctl.sock "$1"; }

# later CHUNK: run it in the background; its output goes to the files out and err.
later ()
{
    timeout 600 "$TOP/memctl" ctl.sock "$1" >out 2>err &
    waiter=$!
}

# later_gives STATUS OUT ERR NAME
later_gives ()
{
    local status
    wait "$waiter"
    status=$?
    is "$status $(sed -E 's/"(first|last)":[0-9.]+,//g' out)$(cat err)" "$1 $2$3" "$4"
}

# nbdkit before 1.34 serves several requests of a connection at the same time only
# if a script mentions sleep.
serve lua="local _ = sleep" size=1M control=ctl.sock
is "$(memctl 'fault { op = "write", error = "ENOSPC", name = "full" }')" \
    '{"fired":0,"hits":0,"name":"full","on":true,"text":"op=\"write\" error=\"ENOSPC\"","where":"control:1"}' "a rule added at run time"
later 'print "begun" return fault.get("full"):wait(600)'
begun 1
is "$(python 'from clients import *
print(outcome(h.pwrite, b"x", 0), outcome(h.pread, 1, 0))')" "ENOSPC ok" "takes effect"
later_gives 0 '{"fired":1,"hits":1,"last_request":{"conn":1,"count":1,"number":1,"offset":0,"op":"write"},"name":"full","on":true,"text":"op=\"write\" error=\"ENOSPC\"","where":"control:1"}' '' "wait returns when it fires"
is "$(memctl 'fault.get("full"):wait(600).fired')" 1 "at once if it has fired before"
is "$(memctl 'fault.get("full"):wait("0ms").hits')" 1 "also with no time to wait"

memctl 'fault { op = "read", after = 1, error = "EIO", name = "idle" }' >/dev/null
python 'h.pread(512, 0)'
later 'fault.get("idle"):wait("20ms")'
later_gives 1 '' "memctl: control:1: fault rule 'idle' did not fire within 20ms (it matched 1 requests)" "wait fails if it does not fire"
later 'fault.get("idle"):wait(0.25)'
later_gives 1 '' "memctl: control:1: fault rule 'idle' did not fire within 0.25 s (it matched 1 requests)" "the same in seconds"

n=1
for how in 'fault.get("idle"):remove()' 'fault.clear()'; do
    memctl 'pcall(fault, { op = "read", after = 1, error = "EIO", name = "idle" })' >/dev/null
    later 'print "begun" local r = fault.get("idle") return r:wait(600)'
    begun $((++n))
    memctl "$how"
    later_gives 1 '' "memctl: control:1: fault rule 'idle' was removed before it fired" "$how ends the wait"
done
later 'local r = fault { op = "read", error = "EIO" } r:remove() r:wait(600)'
later_gives 1 '' "memctl: control:1: fault rule '4' was removed before it fired" "a rule that is gone is not waited for"

# The time limit of the test is less than that of the wait.
later 'local r = fault { op = "read", error = "EIO", to = "1ms", name = "brief" } sleep "2ms" r:wait(3600)'
later_gives 1 '' "memctl: control:1: fault rule 'brief' did not fire, and its time is over (it matched 0 requests)" "a rule whose time is over"
later 'fault { op = "read", error = "EIO", to = "50ms", name = "ends" }:wait(3600)'
later_gives 1 '' "memctl: control:1: fault rule 'ends' did not fire, and its time is over (it matched 0 requests)" "... while it is waited for"

# Many chunks wait for one rule; when it fires, all of them go on.
memctl 'r = fault { op = "flush", error = "EIO" }'
cat >many.py <<'PY'
from control import *
from clients import connect, outcome
all = [Control() for i in range(40)]
for c in all: c.send(b'print "begun" return r:wait(600)\n')
until(lambda: open("log").read().count("begun") >= 43)
print(outcome(connect().flush))
print(*{c.answer()["result"]["fired"] for c in all})
PY
is "$(python "$(cat many.py)")" $'EIO\n1' "40 wait for one rule"

# A chunk that waits does not hold the lock.
later 'print "begun" sleep(600)'
begun 44
is "$(memctl 'x = 1 return x')" 1 "a chunk beside one that sleeps"
kill "$waiter"
wait "$waiter" 2>/dev/null

# It is given up when its client goes.
later 'local a <close> = setmetatable({}, {__close = function() closed = true end}) print "begun" hang()'
begun 45
kill "$waiter"
wait "$waiter" 2>/dev/null
until [ "$(memctl closed)" = true ]; do sleep 0.02; done
is "$(memctl closed)" true "a chunk whose client has gone is given up"

# Hooks are added at run time, and some wait: no other request waits for them, not
# even one of the same connection.
memctl 'fault.clear() gate = false
        function on.read(req)
          if req.offset == 512 then print "begun" while not gate do sleep "1ms" end end
          if req.offset == 1024 then print "begun" hang() end
          req:run()
          req.data = ("h"):rep(req.count)
        end'
cat >hooks.py <<'PY'
from control import *
from clients import finish
import nbd
buf = nbd.Buffer(512)
sleeps = h.aio_pread(buf, 512)
hangs = h.aio_pread(nbd.Buffer(512), 1024)
until(lambda: h.poll(1) is not None and open("log").read().count("begun") >= 47)
print(h.pread(3, 0), h.pwrite(b"x", 0), h.aio_command_completed(sleeps))
print(Control()("gate = true"), *finish(h, [sleeps]), bytes(buf.to_bytearray()[:2]))
print(Control()("on.read = nil"), h.pread(2, 0))
PY
is "$(python "$(cat hooks.py)")" "bytearray(b'hhh') None False
{} ok b'hh'
{} bytearray(b'x\\x00')" "hooks added at run time, that wait"
is "$(grep -E 'control:|on\.|Lua' log)" "" "the log has none of this"
stopped
done_testing
