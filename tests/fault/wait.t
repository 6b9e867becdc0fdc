#!/usr/bin/env bash
# Delays are as long as they should be.  A request that hangs goes on when it is
# released, or ends with its client or the server; meanwhile others are served.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >delay.lua <<'LUA'
M = 1 << 20
fault { op = "any", delay = "50ms", offset = 0, count = 1 }
fault { op = "any", delay = 0.02, offset = M, count = 1 }
fault { op = "any", delay = "30ms", offset = M, count = 2 }
fault { op = "any", delay = {"5ms", "10ms"}, offset = 2 * M, count = 4096, name = "between" }
fault { op = "any", delay = {0.01, "10ms"}, offset = 3 * M, count = 1 }
fault { op = "flush", delay = "40ms", error = "EIO" }
fault { op = "open", delay = "30ms", conn = 2 }
LUA
cat >delay.py <<'PY'
from clients import *
def timed(f, *args):
    start = time.monotonic()
    return outcome(f, *args), time.monotonic() - start
def atleast(least, f, *args):
    o, took = timed(f, *args)
    return o if took >= least else "%s after %f" % (o, took)
print(*[atleast(.05, f, *a) for f, a in ((h.pread, (1, 0)), (h.pwrite, (b"x", 0)), (h.zero, (1, 0)), (h.trim, (1, 0)), (h.cache, (1, 0)))])
print(atleast(.05, h.pread, 1, M), atleast(.03, h.pread, 1, M + 1), atleast(.01, h.pread, 1, 3 * M), atleast(.04, h.flush), atleast(.03, connect))
took = [timed(h.pread, 16, 2 * M + 16 * i)[1] for i in range(100)]
def written():
    return [json.loads(l) for l in open("faults.log") if l.endswith("\n") and '"did"' in l]
# The log is written by a thread.
until(lambda: sum(l["rule"] == "between" for l in written()) == 100)
lines = written()
print({l["did"]["delay"] for l in lines if l["offset"] == 3 * M})
d = [l["did"]["delay"] for l in lines if l["rule"] == "between"]
print(len(d), all(.005 <= n <= .01 for n in d), min(d) < .006, max(d) > .009, len(set(d)) > 90, all(t >= n for t, n in zip(took, d)))
# All at once.  They should not wait one after the other, but that is hard to measure.
print(set(flood(h, [lambda done: h.aio_pread(nbd.Buffer(1), 0, completion=done)] * 50)))
PY
serve size=8M log=faults.log hooks=delay.lua
is "$(python "M = 1 << 20
$(cat delay.py)")" "ok ok ok ok ok
ok ok ok EIO ok
{0.01}
100 True True True True True
{'ok'}" "delays"
stopped

# A function says how long.
cat >function.lua <<'LUA'
given = { [0] = "30ms", 0.03, nil, 0, -1, "soon", {}, true, 0/0, 1/0, "-1", 1e300, print }
local function f(req)
  if req.offset == 100 then error "my mistake" end
  if req.offset == 101 then fail "ENOSPC" end
  if req.offset == 102 then sleep "30ms" return 0.01 end
  if req.offset == 103 then req:run() end
  if req.offset == 104 then error({}) end
  if req.offset == 105 then return "10ms", 5 end
  return given[req.offset]
end
fault { op = "read", delay = f, name = "late" }
function on.flush() local r = fault.get "late" print("counted", r.hits, r.fired) end
LUA
serve size=1M hooks=function.lua
is "$(python 'from clients import *
def timed(i):
    start = time.monotonic()
    o = outcome(h.pread, 1, i)
    return o, time.monotonic() - start >= .03
print(*timed(0), *timed(1), outcome(h.pread, 1, 2), outcome(h.pread, 1, 3))
print({outcome(h.pread, 1, i) for i in range(4, 13)})
print(outcome(h.pread, 1, 100), outcome(h.pread, 1, 101), *timed(102), outcome(h.pread, 1, 103), outcome(h.pread, 1, 104), outcome(h.pread, 1, 105))
h.flush()')" "ok True ok True ok ok
{'EIO'}
EIO ENOSPC ok True EIO EIO ok" "a function's delay"
like "$(cat log)" "^counted	19	17$" "who gives no delay does not fire; failing changes no counter"
for error in "expected a time, such as 2 or \"50ms\", or nil, got (-1|soon|table|true|-?nan|inf|1e\+300|function)" "my mistake" \
    "req:run is for hooks" "table"; do
    like "$(cat log)" "error: fault rule late \(function.lua:[0-9]+\): delay: .*$error" "fault rule late: delay: $error"
done
stopped

# nbdkit before 1.34 serves the requests of a connection at the same time only if a
# script mentions a function that may wait.
waits='local may = hang'

# A request that hangs in a rule, and how it goes on.
cat >hang.py <<'PY'
from clients import *
def fired(name, n): until(lambda: rules()[name]["fired"] == n)
c, other = connect(), connect()
def hang(n=5):
    control('fault.clear() fault { op = "read", count = 512, hang = true, name = "h" } fault { op = "read", count = 1, hang = true, name = "i" }:off()')
    cookies = [c.aio_pread(nbd.Buffer(1), 0) for i in range(n)]
    until(lambda: (c.poll(1), rules()["h"]["fired"] == n)[1])
    return cookies
def still(cookies): return not any(c.aio_command_completed(k) for k in cookies)
for end in 'fault.get("h"):release()', 'fault.get("h"):remove()', 'fault.clear()', 'h = fault.get("h") h:off() h:remove()', 'fault.get("h"):off():release()':
    cookies = hang()
    control('fault.get("h"):off() fault.get("i"):release() fault.get("i"):remove()')
    # The same connection, another one, a new one.
    done = [outcome(c.pread, 1, 512), outcome(c.pwrite, b"x", 0), outcome(other.pread, 1, 0), outcome(connect().flush)]
    print(end, "->", set(done), still(cookies), set((control(end), finish(c, cookies))[1]))
# After a release, the next request hangs again; an earlier release does not count.
cookies = hang(1)
control('fault.get("h"):release()'); finish(c, cookies)
cookies = [c.aio_pread(nbd.Buffer(1), 0)]
until(lambda: (c.poll(1), rules()["h"]["fired"] == 2)[1])
print("again", still(cookies), (control('fault.get("h"):release()'), finish(c, cookies))[1])
# Two rules that hang are two hangs, and the error comes after them.
control('fault.clear() fault { op = "read", hang = true, name = "a" } fault { op = "read", hang = true, error = "ENOSPC", delay = "1ms", name = "b" }')
cookies = [c.aio_pread(nbd.Buffer(1), 0)]
until(lambda: (c.poll(1), rules()["a"]["fired"] == 1)[1])
control('fault.get("a"):release()')
time.sleep(.1); c.poll(1)
print("two", still(cookies), control('fault.clear()') or finish(c, cookies))
# If a rule is removed while its function decides, no request hangs in it.
control('open = false seen = 0 fault { op = "read", hang = true, name = "w", when = function() seen = seen + 1 while not open do sleep "1ms" end return true end }')
cookies = [c.aio_pread(nbd.Buffer(1), 0) for i in range(4)]
until(lambda: (c.poll(1), control("seen") == 4)[1])
control('fault.get("w"):remove() open = true')
print("late", finish(c, cookies))
# When clients go, all of their threads end, and only then do their connections.
control('closed = 0 function on.close() closed = closed + 1 end')
control('fault.clear() fault { op = "any", hang = true, name = "h" }')
clients = [connect() for i in range(4)]
for c in clients:
    for i in range(16): c.aio_pread(nbd.Buffer(1), i)
until(lambda: ([c.poll(1) for c in clients], rules()["h"]["fired"] == 64)[1])
before = control("closed")
del c, clients
until(lambda: control("closed") - before >= 4)
print("gone", control("fault.clear()"), outcome(other.pread, 1, 0))
PY
serve size=1M control="$scratch/ctl" lua="$waits"
is "$(python "$(cat hang.py)")" "fault.get(\"h\"):release() -> {'ok'} True {'ok'}
fault.get(\"h\"):remove() -> {'ok'} True {'ok'}
fault.clear() -> {'ok'} True {'ok'}
h = fault.get(\"h\") h:off() h:remove() -> {'ok'} True {'ok'}
fault.get(\"h\"):off():release() -> {'ok'} True {'ok'}
again True ['ok']
two True ['ENOSPC']
late ['ok', 'ok', 'ok', 'ok']
gone None ok" "what hangs, and goes on"
stopped

# The server ends, whatever is at work.
cat >stop.py <<'PY'
from clients import *
all = [connect() for i in range(2)]
for c in all:
    for i in range(16): c.aio_pread(nbd.Buffer(1), i)
until(lambda: ([c.poll(1) for c in all], rules()["h"]["fired"] + control("begun or 0") == 32)[1])
open("ready", "w").close()
try:
    while True:
        for c in all: c.poll(10)
except nbd.Error: os._exit(0)
PY
for rule in 'hang = true' 'delay = "60m"' 'delay = {"60m", "120m"}' 'delay = function() return "60m" end' 'delay = "60m", hang = true, error = "EIO"' \
    'call = function() sleep "60m" end' 'when = function() begun = (begun or 0) + 1 hang() end, error = "EIO"'; do
    serve size=1M control="$scratch/ctl" lua="fault { op = 'read', name = 'h', $rule }"
    at_work nbdsh -c "$(cat stop.py)"
    stopped_at_once "$rule"
    wait "$client"
done
# Also while a client is still being let in.
serve size=1M control="$scratch/ctl" lua='fault { op = "open", hang = true, name = "h" }'
python 'h' >client.out 2>&1 &
client=$!
until [ "$("$TOP/memctl" ctl 'fault.get("h").fired')" = 1 ]; do sleep 0.02; done
stopped_at_once "open"
wait "$client"
done_testing
