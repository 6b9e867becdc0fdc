#!/usr/bin/env bash
# Rules, and connections that their functions have met, can go at any time: also
# while they are at work.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >remove.py <<'PY'
from clients import *
c = connect()
for kind, gone in (("when", "ok"), ("delay", "EIO"), ("call", "EIO")):
    for how in 'fault.get("r"):remove()', 'fault.clear()', 'fault.clear() fault { op = "read", name = "r", error = "ENOSPC" }':
        control('fault.clear() go = false n = 0 fault { op = "read", name = "r", error = "EIO", %s = function() n = n + 1 while not go do sleep "1ms" end return %s end }'
                % (kind, "false" if kind == "when" else "nil"))
        cookies = [c.aio_pread(nbd.Buffer(1), 0) for i in range(8)]
        until(lambda: (c.poll(1), control("n") == 8)[1])
        control(how + ' collectgarbage() go = true')
        got = set(finish(c, cookies))
        if got != {gone}: print(kind, how, got)
# Many at once call a rule that removes itself, or all, or adds others.
for code in 'fault.get("r"):remove()', 'fault.clear()', 'fault { op = "read", offset = 512, error = "EIO" }', 'fault.get("r"):off() fault.get("r"):on()':
    control('fault.clear() fault { op = "read", name = "r", error = "EIO", call = function() sleep(0) pcall(function() %s end) end }' % code)
    got = together(*[lambda c=connect(): flood(c, [lambda done: c.aio_pread(nbd.Buffer(1), 0, completion=done)] * 100) for k in range(4)])
    print(sorted({o for g in got for o in g} - {"ok"}))
control("fault.clear()")
print(outcome(c.pread, 1, 0))
PY
# (nbdkit before 1.34 needs a script that may wait.)
serve size=1M control="$scratch/ctl" lua='local may = sleep'
is "$(python "$(cat remove.py)")" "['EIO']
['EIO']
['EIO']
['EIO']
ok" "rules that go while their functions run"
stopped

# Connections that come and go leave nothing behind.
cat >doors.py <<'PY'
from clients import *
control('fault { op = "open", when = function(conn) conn.big = ("x"):rep(100000) .. conn.id return conn.id % 2 == 0 end, error = "EIO" }')
def memory(): return control('collectgarbage() collectgarbage() return collectgarbage("count")')
def doors(n):
    for i in range(n): outcome(connect)
doors(20)
before = memory()
doors(100)
until(lambda: memory() - before < 2000)
print("ok")
PY
serve size=1M control="$scratch/ctl"
is "$(python "$(cat doors.py)")" "ok" "connections that a rule's function met, let in or not, are forgotten"
stopped
done_testing
