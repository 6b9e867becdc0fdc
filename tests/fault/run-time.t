#!/usr/bin/env bash
# Several control clients and hooks add and remove rules while eight connections are
# at work: nothing crashes, hangs or leaks, the counters add up, and the disk is as it
# should be.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
random_work 10000 1500
if [ -n "$WATCH" ]; then WORK=$((WORK / 6)); fi

# Connection 1 checks.  The rules may only fail or delay writes, or lose whole
# ones, so each sector holds what was written to it at some time.
cat >change.py <<'PY'
from clients import *
import random
seed, work, M = os.environ["SEED"], int(os.environ["WORK"]), 1 << 20
ends = threading.Event()
h.pread(1, 0)
errors = {"EIO", "ENOSPC", "EPERM", "ok", "ESHUTDOWN"}

def worker(k):
    rnd = random.Random(f"{seed} w{k}")
    c, base = connect(), k * M
    bufs = [nbd.Buffer.from_bytearray(bytearray([i]) * 4096) for i in range(256)]
    into = nbd.Buffer(4096)
    def one():
        o = base + rnd.randrange(256) * 4096
        return rnd.choice([
            lambda done: c.aio_pread(into, o, completion=done), lambda done: c.aio_pwrite(bufs[o // 4096 % 256], o, completion=done),
            lambda done: c.aio_zero(4096, o, completion=done), lambda done: c.aio_trim(4096, o, completion=done),
            lambda done: c.aio_flush(completion=done), lambda done: c.aio_cache(4096, o, completion=done)])
    return flood(c, [one() for i in range(work // 8)])

def controller(k):
    rnd = random.Random(f"{seed} c{k}")
    made, n, wrong = 0, 0, []
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("ctl")
        f = s.makefile("rw")
        def tell(chunk):
            f.write(chunk + "\n"); f.flush()
            return json.loads(f.readline())
        while not ends.is_set() or n < 30 or made <= 5:
            n += 1
            name = "%d-%d" % (k, rnd.randrange(20))
            where = "offset=%d, count=%d," % (rnd.randrange(8 * M - 5000), rnd.randrange(1, 5000)) if rnd.random() < 0.7 else ""
            how = rnd.choice(['error="EIO"', 'error="EIO", p=0.1', 'error="ENOSPC", every=3', 'hang=true, times=2, conn=%d' % rnd.randrange(2, 10), 'delay="1ms"', 'delay={0, "1ms"}',
                              'lose=true', 'delay=function() return 0 end', 'when=function(r) return r.count > 0 end, error="EIO"', 'call=function() sleep(0) end', 'error="EPERM", after=3, times=9',
                              'call=function() fail "EIO" end', 'data="x", keep=0, op="write"', 'call=function() fault.get("%s"):remove() end, times=1' % name])
            op = "" if "op=" in how else 'op={"read","write","zero","trim","cache"},' if "offset" in where else 'op="any",'
            a = tell(rnd.choice(['fault { %s name="%s", %s %s }' % (op, name, where, how)] * 5 + [
                'fault.get("%s"):remove()' % name, 'fault.get("%s"):off()' % name, 'fault.get("%s"):on()' % name, 'fault.get("%s"):release()' % name,
                'fault.list()', 'fault.get("%s"):wait(0.001)' % name, 'fault.clear()' if rnd.random() < 0.2 else '#fault.list()',
                'kept = kept or {} kept[#kept + 1] = fault.get("%s") if #kept > 50 then kept = {} collectgarbage() end' % name,
                'for _, r in ipairs(fault.list()) do local fired = r.fired assert(r.hits >= fired) end', 'for _, r in ipairs(kept or {}) do r:on() r:off() r:release() r:remove() end']))
            if "error" in a and not any(t in a["error"] for t in ("already", "no fault rule", "did not fire", "was removed")): wrong.append(a)
            if isinstance(a.get("result"), list):
                wrong += [r for r in a["result"] if r["fired"] > r["hits"]]
            made += "result" in a
    return wrong, made

def releaser():
    # Release the requests that hang, because the workers wait for them.
    while not ends.is_set():
        control('for _, r in ipairs(fault.list()) do r:release() end')
        time.sleep(0.005)
def work_all():
    got = together(*[lambda k=k: worker(k) for k in range(8)])
    # On a fast machine all may be done before a rule is there that matches.
    while "EIO" not in {o for g in got for o in g}:
        got.append(worker(0))
    ends.set()
    return got
all = together(work_all, releaser, *[lambda k=k: controller(k) for k in range(4)])
outcomes = [o for g in all[0] for o in g]
print(sum(map(len, all[0][:8])) == int(os.environ["WORK"]) // 8 * 8, set(outcomes) <= errors, outcomes.count("ok") > 0, outcomes.count("EIO") > 0)
print([w for w, made in all[2:] for w in w][:5], min(made for w, made in all[2:]) > 5)
control("fault.clear() kept = nil collectgarbage() collectgarbage()")
bad = 0
for i in range(8 * 256):
    d = set(h.pread(4096, i * 4096))
    bad += len(d) != 1 or not d <= {0, i % 256}
print(bad, rules())
PY
# (nbdkit before 1.34 serves the requests of a connection at the same time only if
# some script may wait.)
serve size=8M control="$scratch/ctl" lua='local may = sleep' log=faults.log seed="$SEED"
is "$(python "$(cat change.py)")" "True True True True
[] True
0 {}" "rules come and go"
stopped
like "$(python3 -c 'import json
lines = [json.loads(l) for l in open("faults.log")]
print(len(lines) > 0, all(l["matched"] >= l["fired"] for l in lines if "matched" in l))')" "True True" "the log is whole"

# The same from hooks, without any control socket: each request changes rules.
cat >hooks.lua <<'LUA'
local n = 0
function on.write(req)
  n = n + 1
  local name = "r" .. n % 7
  local ok, rule = pcall(fault.get, name)
  if not ok then fault { op = "read", name = name, error = "EIO", offset = n % 100 * 512, count = 512 }
  elseif n % 3 == 0 then rule:remove()
  elseif n % 3 == 1 then rule:off()
  else rule:on() end
  if n % 100 == 0 then fault.clear() end
end
function on.flush() fault.clear() print("rules", #fault.list()) end
LUA
cat >hooks.py <<'PY'
from clients import *
work = int(os.environ["WORK"])
def worker():
    c, b, d = connect(), nbd.Buffer(512), nbd.Buffer.from_bytearray(bytearray(512))
    return flood(c, [lambda done, i=i: c.aio_pread(b, i % 100 * 512, completion=done) if i % 2 else c.aio_pwrite(d, i % 100 * 512, completion=done) for i in range(work // 8)])
got = [o for g in together(*[worker] * 8) for o in g]
h.flush()
print(sorted(set(got)))
PY
serve size=1M hooks=hooks.lua
is "$(python "$(cat hooks.py)")" "['EIO', 'ok']" "hooks change rules"
is "$(cat log)" "rules	0" "and nothing else happened"
stopped

# A rule and its functions are freed when nobody uses it any more: otherwise a thousand
# rules with a megabyte each would not fit.
cat >leak.py <<'PY'
from clients import *
for i in range(100):
    control('for i = 1, 10 do local big = ("x"):rep(1 << 20) fault { op = "read", call = function() return #big end, name = "r" .. i } end')
    h.pread(1, 0)
    control("fault.clear() collectgarbage()" if i % 2 else 'for i = 1, 10 do fault.get("r" .. i):remove() end collectgarbage()')
print("ok")
PY
serve size=1M control="$scratch/ctl" lua-memory=64M
is "$(python "$(cat leak.py)")" "ok" "what is removed is gone"
stopped
done_testing
