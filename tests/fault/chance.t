#!/usr/bin/env bash
# Chance depends on the seed, the rule's name, the request and how often the same one
# came before; not on connections, order, threads or other rules.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
random_work 4000 800

# Rules that fail, corrupt and delay by chance.  The delays are read from the fault
# log, because they must not depend on the clock either.
cat >chance.lua <<'LUA'
fault { op = {"read", "cache"}, p = 0.2, error = "EIO", count = "1M" }
fault { op = "read", corrupt = 5, count = "1M" }
fault { op = "cache", p = "30%", delay = {0, "2ms"} }
fault { op = "write", p = "1:4", corrupt = 3 }
fault { op = {"trim", "zero"}, p = 0.25, keep = 100 }
-- While one waits between two rules, the same request may come again.
fault { op = "read", when = function(r) if r.offset < 1 << 17 then sleep "1ms" return true end end, p = 0.5, corrupt = 4, count = "1M" }
LUA

# The set of requests: all operations, some with several counts, some more than once.
# Prints the outcomes of each and the data that was read, and a digest of the disk.
# The environment says how many clients there are, in which order they send, and how
# many requests at a time.
cat >set.py <<'PY'
from clients import *
import hashlib, random
clients, order, depth = int(os.environ["CLIENTS"]), os.environ["ORDER"], int(os.environ["DEPTH"])
rnd, n = random.Random(5), int(os.environ["WORK"])
requests = [(rnd.choice(["read", "read", "cache", "write", "zero", "trim"]), rnd.randrange(200) * 4096, rnd.choice([512, 4096])) for i in range(n)]
# The content of a place that is written twice depends on the last write.
written = set()
for i, (op, offset, count) in enumerate(requests):
    if op == "write":
        requests[i] = ("read" if offset in written else op, offset, 4096)
        written.add(offset)
random.Random(order).shuffle(requests)
got = {}
lock = threading.Lock()
def client(mine):
    c, bufs = connect(), []
    def make(op, offset, count):
        if op in ("read", "write"):
            # Reads and writes do not meet, nor do writes and zeroes.
            offset += {"read": 0, "write": 1 << 20}[op]
            b = nbd.Buffer.from_bytearray(bytearray(count))
        else:
            offset += {"cache": 0, "zero": 2 << 20, "trim": 3 << 20}[op]
            b = None
        bufs.append(b)
        f = {"read": c.aio_pread, "write": c.aio_pwrite, "zero": c.aio_zero, "trim": c.aio_trim, "cache": c.aio_cache}[op]
        return lambda done: f(b if b else count, offset, completion=done)
    outcomes = flood(c, [make(*r) for r in mine], depth)
    with lock:
        for r, o, b in zip(mine, outcomes, bufs):
            got.setdefault(r, []).append((o, hashlib.md5(b.to_bytearray()).hexdigest() if r[0] == "read" and o == "ok" else ""))
together(*[lambda k=k: client(requests[k::clients]) for k in range(clients)])
for r in sorted(got): print(*r, *sorted(got[r]))
# The rules corrupt no reads here.
print(*[hashlib.md5(h.pread(65536, i * 65536)).hexdigest() for i in range(16, 64)])
PY
cat >fill.lua <<'LUA'
for i = 0, 3 do disk:random(i << 20, "1M", i) end
LUA

# requests NAME SERVER-ARGUMENTS: the outcome of the set, and the faults logged.
requests ()
{
    local name=$1
    shift
    serve size=4M hooks=fill.lua log="$name.log" "$@"
    nbdsh -u "$uri" -c - <set.py >"$name" 2>&1
    stop || ok 1 "$name: the server ends in good order"
    grep '"op"' "$name.log" | sed -E 's/.*"rule"/"rule"/; s/"(req|conn)":[0-9]+,//g' | sort >"$name.faults"
}
export CLIENTS=1 ORDER=a DEPTH=1
requests one hooks=chance.lua seed=7
for what in EIO '"delay"' '"corrupt":5' '"corrupt":3' '"keep"'; do
    like "$(cat one one.faults)" "$what" "with $what"
done
[ "$(grep -c EIO one)" -gt 20 ] && [ "$(grep -c '"delay"' one.faults)" -gt 20 ]
ok $? "and not just once"
ORDER=b requests order hooks=chance.lua seed=7
CLIENTS=8 ORDER=c DEPTH=16 requests eight hooks=chance.lua seed=7
# No rule or hook may wait, so requests are serialised.
grep -v 'delay\|sleep' chance.lua >serial.lua
requests serial1 hooks=serial.lua seed=7
CLIENTS=8 ORDER=d DEPTH=16 requests serial8 hooks=serial.lua seed=7
# With a hook, whose lock orders them differently.
CLIENTS=8 ORDER=e DEPTH=16 requests hooked hooks=chance.lua seed=7 lua='function on.read(r) r:run() end function on.cache() sleep(0) end'
for name in order eight hooked; do
    is "$(cmp one $name 2>&1)" "" "$name: the same outcomes, bit by bit"
    is "$(cmp one.faults $name.faults 2>&1)" "" "$name: the same faults"
done
is "$(cmp serial1 serial8 2>&1; cmp serial1.faults serial8.faults 2>&1)" "" "serialised: the same"
requests seed hooks=chance.lua seed=8
cmp -s one.faults seed.faults
is $? 1 "another seed, other faults"
CLIENTS=8 DEPTH=16 requests number lua='fault { op = "open", p = 0, error = "EIO" }' hooks=chance.lua seed=7
cmp -s one.faults number.faults
is $? 1 "another rule before them, other faults"

# One request again and again: what fails depends on no other rule, nor hook.
# series NAME LUA: which of 40 reads fail, with the rule "a" after and before others.
series ()
{
    serve size=1M lua="$2"
    is "$(python 'from clients import *
print("".join("x" if outcome(h.pread, 1, 0) == "EIO" else "-" for i in range(40)))')" "$(cat a)" "$1"
    stopped
}
rule='fault { op="read", name="a", every=2, p=0.5, error="EIO" }'
python3 -c 'print("-x-x-----x---------x---x---x-x-x-x-x-x--")' >a
series "alone" "$rule"
series "with a rule behind" "$rule fault { op='read', p=1e-9, error='ENOSPC' }"
series "with a rule before" "fault { op='read', name='b', p=1e-9, error='ENOSPC' } $rule"
series "with a rule that fires, and one that calls chance" "fault { op='read', name='b', p=0.5, corrupt=1 } $rule
fault { op='read', name='c', when=function() return chance(0) end, error='ENOSPC' }"
series "with a hook that calls chance" "$rule function on.read() chance(0) chance(1) end"
series "with a hook and a function that now and then do" "local n = 0
function on.read() n = n + 1 if n % 3 == 0 then chance(0) end end
fault { op='read', name='c', call=function() if n % 5 == 0 then chance(0) end end } $rule"
series "after a rule was removed" "fault { op='read', name='b', p=0.5, corrupt=1 }:remove() $rule"

# Each of a thousand equal requests is drawn by itself, so is each rule, and the share
# that fires is right.
cat >again.py <<'PY'
from clients import *
def series(f): return "".join("x" if outcome(f) != "ok" else "." for i in range(1000))
def one(offset=0, count=512): return series(lambda: h.pread(count, offset))
def rule(p=0.2): return control('fault.clear() fault { op = "any", error = "EIO", p = %s }' % json.dumps(p))
rule()
all = [one(), one(512), one(0, 1024), one(), series(h.flush), series(lambda: h.cache(512, 0)), series(lambda: h.pwrite(bytes(512), 0))]
rule()
all.append(one())
print(len(set(all)), *[s.count("x") for s in all])
for p in 0, "0%", 1, "100%", "1:1", 1.0: rule(p); print(one().count("x"), end=" ")
rule(1e-3); few = [one(i * 512) for i in range(10)]; print(1 <= "".join(few).count("x") <= 30)
PY
serve size=1M seed=11 control="$scratch/ctl"
python "$(cat again.py)" >again
like "$(cat again)" '^8( (1[5-9]|2[0-4])[0-9]){8}$' "repeated requests draw anew"
like "$(cat again)" '^0 0 1000 1000 1000 1000 True$' "never, always, rarely"
stopped
done_testing
