#!/usr/bin/env bash
# Fault rules: each selector chooses, each action does what it says, to exactly
# the bytes that it should.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh

cat >rules.lua <<'LUA'
M = 1 << 20
fault { op = "flush", nth = 3, error = "EIO" }
fault { op = "cache", every = 2, after = 2, times = 2, error = "ENOSPC" }
fault { op = "trim", seq = "-x-x", error = "EPERM" }
fault { op = "read", offset = "1M", count = "1M", error = "EIO" }
fault { op = "read", offset = "4M", count = 4096, corrupt = 3 }
fault { op = "write", offset = "5M", count = 4096, keep = 512 }
fault { op = "write", offset = 5 * M + 8192, count = 4096, keep = {{1024, 512}, {4000, 9999}} }
fault { op = "write", offset = "6M", count = 4096, misdirect = "1M" }
fault { op = "write", offset = "8M", count = 4096, lose = true }
fault { op = {"read", "write"}, when = function(r) return r.offset == 9 * M end, error = "ENOSPC", delay = "10ms" }
fault { op = "write", data = "secret", error = "EPERM" }
fault { op = "write", fua = true, offset = "10M", count = 512, error = "EIO" }
fault { op = "write", offset = "11M", count = 4096, corrupt = 5 }
fault { op = "zero", call = function(r) if r.offset == M then fail "EINVAL" end end }
local rule = fault { op = "read", p = 0.1, offset = "16M", count = "16M", error = "EIO", name = "p" }
local off = fault { op = "any", error = "EIO" }:off()
function on.extents() print("p", rule.hits, rule.fired, off.hits, #fault.list(), fault.get("p").name) end
LUA
cat >rules.py <<'PY'
def t(f, *a):
    try: return f(*a)
    except nbd.Error as e: return e.errno
M = 1 << 20
def bits(b): return sum(bin(x).count("1") for x in b)
print("flush", *[t(h.flush) for i in range(4)])
print("cache", *[t(h.cache, 512, 0) for i in range(8)])
print("trim", *[t(h.trim, 512, 0) for i in range(5)])
print("range", t(h.pread, 1024, M), len(t(h.pread, 512, M - 512)), t(h.pread, 1, 2 * M - 1), len(t(h.pread, 1, 2 * M)))
print("corrupt read", bits(h.pread(4096, 4 * M)))
h.pwrite(b"a" * 4096, 5 * M); d = h.pread(4096, 5 * M); print("keep", d == b"a" * 512 + bytes(3584))
h.pwrite(b"a" * 4096, 5 * M + 8192); d = h.pread(4096, 5 * M + 8192)
print("keep list", d == bytes(1024) + b"a" * 512 + bytes(4000 - 1536) + b"a" * 96)
h.pwrite(b"b" * 4096, 6 * M); print("misdirect", h.pread(4096, 6 * M) == bytes(4096), h.pread(4096, 7 * M) == b"b" * 4096)
h.pwrite(b"c" * 4096, 8 * M); print("lose", h.pread(4096, 8 * M) == bytes(4096))
print("when", t(h.pread, 512, 9 * M), len(t(h.pread, 512, 9 * M + 512)))
print("data", t(h.pwrite, b"my secret", 0), t(h.pwrite, b"my secre", 0))
print("fua", t(h.pwrite, b"x", 10 * M), t(h.pwrite, b"x", 10 * M, nbd.CMD_FLAG_FUA))
h.pwrite(bytes(4096), 11 * M); print("corrupt write", bits(h.pread(4096, 11 * M)))
print("call", t(h.zero, 512, 0), t(h.zero, 512, M))
r = [t(h.pread, 512, 16 * M + i * 512) == "EIO" for i in range(2000)]
print("p", 140 < sum(r) < 260, sum(r))
PY
serve size=64M hooks=rules.lua seed=5
python "$(cat rules.py)" >got
is "$(grep -v '^p' got)" "flush None None EIO None
cache None None None ENOSPC None ENOSPC None None
trim None EPERM None EPERM None
range EIO 512 EIO 1
corrupt read 3
keep True
keep list True
misdirect True True
lose True
when ENOSPC 512
data EPERM None
fua None EIO
corrupt write 5
call None EINVAL" "what the client sees"
like "$(cat got)" '^p True' "about as often as it says"
nbdinfo --map "$uri" >/dev/null
like "$(cat log)" "p	2000	$(sed -n 's/^p True //p' got)	0	16	p" "the rules count"
stop
is $? 0 "the server ends in good order"

# The same requests, in another order and from eight clients, meet the same
# faults.
cat >threads.py <<'PY'
import sys, threading
order = range(1000) if sys.argv[1:] == [] else None
def outcomes(c, those, into):
    for i in those:
        try: c.pread(512, i * 512); into[i] = "."
        except nbd.Error: into[i] = "x"
PY
cat >p.lua <<'LUA'
fault { op = "read", p = "10%", error = "EIO" }
LUA
one="$(cat threads.py)
into = {}
outcomes(h, range(1000), into)
print(''.join(into[i] for i in range(1000)))"
eight="$(cat threads.py)
into = {}
cs = []
for i in range(8):
    c = nbd.NBD(); c.connect_uri('$scratch'.join(['nbd+unix:///?socket=', '/sock.%d'])); cs.append(c)"
serve size=1M hooks=p.lua seed=7
python "$one" >first
stop
serve size=1M hooks=p.lua seed=7
python "${eight//%d/$((${#pids[@]} - 1))}
ts = [threading.Thread(target=outcomes, args=(c, range(999 - k, -1, -8), into)) for k, c in enumerate(cs)]
for t in ts: t.start()
for t in ts: t.join()
print(''.join(into[i] for i in range(1000)))" >second
is "$(cat second)" "$(cat first)" "eight clients meet the faults of one"
stop
serve size=1M hooks=p.lua seed=8
python "$one" >third
[ "$(cat third)" != "$(cat first)" ]
ok $? "another seed, other faults"
stop

# A hanging request goes on when its rule is released.
serve size=1M lua='fault { op = "read", hang = true, name = "h" }
function on.flush() fault.get("h"):release() end'
python 'b = nbd.Buffer(512)
c = h.aio_pread(b, 0)
import time
for i in range(10): h.poll(20)
print(bool(h.aio_command_completed(c)))
h.flush()
while not h.aio_command_completed(c): h.poll(-1)
print("released")' >got
is "$(cat got)" $'False\nreleased' "release"
stop
is $? 0 "the server ends in good order"

# A rule that never fired is pointed out when the server stops.
serve -v size=1M lua='fault { op = "write", error = "EIO", name = "idle" }
fault { op = "read", nth = 2, error = "EIO", name = "busy" }
fault { op = "read", nth = 5, error = "EIO" }'
python 'h.pread(512, 0)
try: h.pread(512, 0)
except nbd.Error: pass'
stop
like "$(cat log)" "error: .*fault rule idle \(lua:1: op=\"write\" error=\"EIO\"\) never fired \(it matched 0 requests\)" "a rule that matched nothing"
like "$(cat log)" "error: .*fault rule 3 \(lua:3: op=\"read\" nth=5 error=\"EIO\"\) never fired \(it matched 2 requests\)" "a rule that matched but never fired"
like "$(cat log)" "debug: .*fault rule busy \(lua:[0-9]\): matched 2, fired 1" "a rule that fired"
out=$(nbdkit_run -U nowhere/sock size=1M lua='fault { op = "read", error = "EIO" }' --run true 2>&1)
like "$out" "nowhere/sock" "a start that fails once the rules are there"
[[ $out != *"never fired"* ]]
ok $? "... says nothing about rules"

# Sixteen requests hang when their client is killed.  This is done ten times, with a
# send that fails slowly, because nbdkit's abort, for which it looks, depends on luck.
"${CC:-cc}" -shared -fPIC -o slow.so -x c - <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>
#include <time.h>
ssize_t send (int sock, const void *buf, size_t len, int flags)
{
  ssize_t (*next) (int, const void *, size_t, int)
    = (ssize_t (*) (int, const void *, size_t, int)) dlsym (RTLD_NEXT, "send");
  ssize_t r = next (sock, buf, len, flags);
  if (r == -1) nanosleep (&(struct timespec) { 0, 50000000 }, 0);
  return r;
}
C
[ -n "$WATCH" ] || watch=(env "LD_PRELOAD=$scratch/slow.so")
serve size=1M lua='fault { op = "read", hang = true }'
for _ in {1..10}; do
    python 'import os
for i in range(16): h.aio_pread(nbd.Buffer(512), i * 512)
for i in range(5): h.poll(20)
os._exit(0)'
done
python 'h.flush(); print("served")' >got
is "$(cat got)" "served" "the server survives clients that leave hanging requests"
stop
is $? 0 "the server ends in good order"
[ -n "$WATCH" ] || watch=()

refused "op has no 'wriet'; did you mean 'write'" 'fault { op = "wriet", error = "EIO" }'
refused "has no 'eror'; did you mean 'error'" 'fault { op = "write", eror = "EIO" }'
refused "did you mean 'EIO'" 'fault { op = "write", error = "EIOO" }'
refused "error: expected .*\"ENOTSUP\"" 'fault { op = "write", error = "ENOTSUP" }'
refused "p: expected a probability" 'fault { op = "write", p = 2, error = "EIO" }'
refused "op is missing" 'fault { error = "EIO" }'
refused "there is no action" 'fault { op = "read" }'
refused "seq: expected a pattern" 'fault { op = "read", seq = "y", error = "EIO" }'
refused "a rule 'a' already \(lua:1\)" 'fault { op = "read", name = "a", error = "EIO" } fault { op = "read", name = "a", error = "EIO" }'
done_testing
