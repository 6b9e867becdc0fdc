#!/usr/bin/env bash
# chance(p) depends on the seed, the hook, the request and how often the same one came
# before; not on the order of requests, or on the client.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >chance.lua <<'LUA'
function on.read() if chance(0.1) then fail "EIO" end end
function on.write() if chance "1:10" then fail "EIO" end end
function on.trim() if chance "10%" or chance "10%" then fail "EIO" end end
function on.flush() if chance(1) and not chance(0) then fail "ENOSPC" end end
function on.cache() print(pcall(chance, 2)) print(pcall(chance)) print(pcall(chance, "x")) end
LUA
cat >lib.py <<'PY'
import threading
N = 2000
def luck(h, f, order):
    got = {}
    for i in order:
        try: f(h, i); got[i] = "."
        except nbd.Error: got[i] = "x"
    return got
def text(got): return "".join(got[i] for i in sorted(got))
def read(h, i): h.pread(512, i * 512)
def write(h, i): h.pwrite(bytes(512), i * 512)
def trim(h, i): h.trim(512, i * 512)
PY
serve size=1M hooks=chance.lua seed=3
python "$(cat lib.py)
for f in read, write, trim, read: print(text(luck(h, f, range(N))))
try: h.flush()
except nbd.Error as e: print(e.errno)
h.cache(512, 0)" >first
is "$(sed 5q first | sort -u | wc -l)" 5 "each operation, and each time, has luck of its own"
like "$(awk '{ print gsub("x", "") }' first | paste -sd' ')" '^(1[5-9]|2[0-4])[0-9] (1[5-9]|2[0-4])[0-9] (3[2-9]|4[0-3])[0-9] (1[5-9]|2[0-4])[0-9] 0$' "as often as it says"
like "$(cat first)" '^ENOSPC$' "1 is always, 0 is never"
is "$(grep -c 'expected a probability, such as 0.01' log)" 3 "what is no probability is an error"
stopped

serve size=1M hooks=chance.lua seed=3
python "$(cat lib.py)
from threading import Thread
got = {}
def client(k):
    c = nbd.NBD(); c.connect_uri('$uri')
    got.update(luck(c, read, range(N - 1 - k, -1, -8)))
ts = [Thread(target=client, args=(k,)) for k in range(8)]
for t in ts: t.start()
for t in ts: t.join()
print(text(got))" >second
is "$(cat second)" "$(sed 1q first)" "eight clients, in another order, have the same luck"
stopped

serve size=1M hooks=chance.lua seed=4
python "$(cat lib.py)
print(text(luck(h, read, range(N))))" >third
[ "$(cat third)" != "$(sed 1q first)" ]
ok $? "another seed, other luck"
stopped

# Each hook, and each function of a rule, counts for itself, and begins when it is
# declared.
cat >each.lua <<'LUA'
local function told(name, p) return function(r) got[name] = (got[name] or "") .. (chance(p) and "x" or "-") end end
got = {}
if param.before then function on.read() chance(0.5) end end
fault { op = "read", name = "f", when = function(r) told("when", 0.5)(r) return true end, call = told("call", 0.5), delay = told("delay", 0.5) }
fault { op = "read", name = "f2", when = function() return true end, call = told("call2", 0.5) }
if param.before then fault { op = "read", name = "f3", p = 0.5, delay = "1us" } end
function declare() on.write = nil on.write = told("write", 0.5) end
declare()
LUA
cat >each.py <<'PY'
from clients import *
for i in range(40): h.pread(1, 0)
for i in range(40): h.pwrite(b"x", 0)
one = control("declare() return got")
for i in range(40): h.pwrite(b"x", 0)
two = control("got")
print(two["write"] == one["write"] * 2, len({*one.values()}), one["when"].count("-") > 5 < one["when"].count("x"))
print(sorted(one.items()))
PY
serve size=1M control="$scratch/ctl" hooks=each.lua
python "$(cat each.py)" >each
stopped
serve size=1M control="$scratch/ctl" hooks=each.lua before=1
python "$(cat each.py)" >each.before
stopped
like "$(cat each)" '^True 5 True$' "a hook that is declared again begins again"
is "$(sed 1d each.before)" "$(sed 1d each)" "what others do makes no difference"

like "$(nbdkit_run -U - size=1M lua='chance(0.5)' --run true 2>&1)" "chance is for hooks" "no requests, no chance"
done_testing
