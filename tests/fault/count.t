#!/usr/bin/env bash
# Rules count each request that they match exactly once: their counters, the errors
# that clients see and arithmetic agree exactly.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
random_work 80000 8000

# Rule i has the region that starts at i MiB; about N requests meet it.
cat >count.py <<'PY'
from clients import *
import random
M, work = 1 << 20, int(os.environ["WORK"])
rnd = random.Random(int(os.environ["SEED"]))
N = work // 16
some = [dict(nth=rnd.randint(1, N // 2)), dict(every=rnd.randint(2, 9)), dict(after=rnd.randint(1, N // 2)),
    dict(times=rnd.randint(1, N // 2)), dict(seq="".join(rnd.choice("x-") for i in range(N // 2)) + "x"), {},
    dict(every=3, after=N // 5, times=N // 10), dict(nth=N // 3, after=N // 3), dict(nth=N // 3, after=N // 3 - 1),
    dict(every=2, seq="xx-x" * (N // 6)), dict(seq="-x" * (N // 4), times=N // 8, after=10), dict(p=0.3),
    dict(p=0.9, times=N // 4), dict(p=0.5, every=2), dict(every=1, times=1), dict(seq="x")]
def fires(c, n):
    return (c.get("nth", n) == n and n % c.get("every", 1) == 0 and n > c.get("after", 0)
            and ("seq" not in c or c["seq"][n - 1:n] == "x"))
for i, c in enumerate(some):
    control('fault { name = "r%d", op = {"read", "write"}, offset = %d, count = "1M", error = "ENOSPC", %s }'
            % (i, i * M, ",".join("%s=%s" % (k, json.dumps(v)) for k, v in c.items())))
where = [[rnd.randrange(16) for i in range(work // 8)] for k in range(8)]
def client(k):
    c, b, d = connect(), nbd.Buffer(512), nbd.Buffer.from_bytearray(bytearray(512))
    return flood(c, [lambda done, o=i * M + n % 2000 * 512, n=n: c.aio_pread(b, o, completion=done) if n % 2
                     else c.aio_pwrite(d, o, completion=done) for n, i in enumerate(where[k])])
seen = together(*[lambda k=k: client(k) for k in range(8)])
for i, c in enumerate(some):
    met = sum(w.count(i) for w in where)
    errors = sum(o != "ok" for k in range(8) for o, j in zip(seen[k], where[k]) if i == j)
    r = rules()["r%d" % i]
    want = sum(fires(c, n) for n in range(1, met + 1))
    if "p" in c:
        want = errors
    want = min(want, c.get("times", want))
    if (r["hits"], r["fired"], errors) != (met, want, want) or ("p" in c and not met / 9 < want < met / 2):
        print(c, r, "met", met, "want", want, "errors", errors)
print(*sorted({o for s in seen for o in s}))
PY
# (With sleep, requests of a connection are served at the same time.)
for script in 'local may = sleep' ''; do
    serve size=16M control="$scratch/ctl" ${script:+lua="$script"}
    is "$(python "$(cat count.py)")" "ENOSPC ok" "eight connections: all counters exact"
    stopped
done

# If several rules match the same requests, each counts all of them, also those that
# another rule makes fail.
cat >both.py <<'PY'
from clients import *
for i, c in enumerate(('every=2, error="EIO"', 'every=3, error="ENOSPC"', 'error="EPERM", when=function(r) return r.offset == 0 end',
                       'delay=0', 'times=5, delay=0', 'nth=7, delay="1ms", error="EINVAL"')):
    control('fault { name="%d.", op="any", %s }' % (i, c))
c = connect()
def one(n):
    return [lambda done: c.aio_flush(completion=done), lambda done: c.aio_cache(512, 512, completion=done),
            lambda done: c.aio_trim(512, 512, completion=done), lambda done: c.aio_zero(512, 512, completion=done)][n % 4]
got = flood(c, [one(n) for n in range(60)], 1)
print(*[got.count(e) for e in ("ok", "EIO", "ENOSPC", "EPERM", "EINVAL")])
print(*[(r["hits"], r["fired"]) for r in rules().values()])
PY
serve size=1M control="$scratch/ctl"
# Every fourth request is a flush, whose offset is 0.
is "$(python "$(cat both.py)")" "9 30 10 10 1
(60, 30) (60, 20) (15, 15) (60, 60) (60, 5) (60, 1)" "each rule counts for itself, the first error decides"
stopped

# Rules apply in the order of declaration, not of their regions.  If the medium fails
# a request that rules have changed, the log still says why.
serve -v size=1M lua='fault { op = "read", offset = 512, error = "EIO" } fault { op = "read", error = "ENOSPC" }
fault { op = "write", misdirect = 512 } fault { op = "write", keep = 100 } disk:readonly()'
is "$(python 'from clients import *
print(outcome(h.pread, 1024, 0), outcome(h.pread, 512, 0), outcome(h.pwrite, b"x", 0))')" "EIO ENOSPC EPERM" \
    "the rule declared first decides"
like "$(cat log)" "Operation not permitted \(disk:readonly\)" "the medium's reason is not lost"
stopped

# The connection counts as nothing but "open".
serve size=1M lua='a = fault { op = "any", delay = 0, times = 1 } b = fault { op = {"open", "any"}, delay = 0 }
c = fault { op = "open", delay = 0 }
function on.flush() print(a.hits, a.fired, b.hits, c.hits) end'
python 'h.pread(512, 0); h.flush()'
is "$(cat log)" "1	1	2	1" "any is each request, but not the connection"
stopped

# Connection, export, FUA, data.
cat >select.lua <<'LUA'
disk:write(0, "abc")
disk:snapshot "s" disk:snapshot "t"
fault { op = "read", conn = 2, export = "*", error = "EIO", offset = 0, count = 512 }
fault { op = "read", export = "s", error = "ENOSPC", offset = 512, count = 512 }
fault { op = "read", export = "", error = "EPERM", offset = 1024, count = 512 }
fault { op = {"write", "zero", "trim"}, fua = true, error = "EIO", offset = 4096, count = 512 }
fault { op = {"write", "zero", "trim"}, fua = false, error = "ENOSPC", offset = 8192, count = 512 }
fault { op = "write", data = "needle", error = "EPERM", offset = 16384, count = 4096 }
fault { op = "write", data = "\0\xff\0", error = "EPERM", offset = 16384, count = 4096 }
fault { op = "any", fua = true, error = "ENOMEM", offset = "1M", count = 1 }
LUA
cat >select.py <<'PY'
from clients import *
s, t, live = connect("s"), connect("t"), connect()
for where in 0, 512, 1024:
    print(where, *[outcome(c.pread, 1, where) for c in (h, s, t, live)])
def changes(where, flags):
    return [outcome(h.pwrite, b"x" * 512, where, flags), outcome(h.zero, 512, where, flags), outcome(h.trim, 512, where, flags)]
for where in 4096, 8192, 1 << 20:
    print(where, *changes(where, 0), *changes(where, nbd.CMD_FLAG_FUA))
for data in b"needle", b"need", b"xxneedlexx", b"neednle", b"a\0\xff\0", b"\0\xff", b"", b"NEEDLE", b"x" * 3000 + b"needle":
    print(outcome(h.pwrite, b"-" + data, 16384), end=" ")
print(outcome(h.pwrite, b"needle", 16384 + 4096), outcome(h.pwrite, b"--needle", 16384 - 2))
PY
serve size=2M hooks=select.lua
is "$(python "$(cat select.py)")" "0 ok EIO ok ok
512 ok ENOSPC ok ok
1024 EPERM ok ok EPERM
4096 ok ok ok EIO EIO EIO
8192 ENOSPC ENOSPC ENOSPC ok ok ok
1048576 ok ok ok ENOMEM ENOMEM ENOMEM
EPERM ok EPERM ok EPERM ok ok ok EPERM ok EPERM" "conn, export, fua, data"
stopped

# A rule without export is about the live disk, whatever happens to others.
serve size=1M control="$scratch/ctl" lua='disk:snapshot "s"
fault { op = "read", nth = 1, error = "EIO", name = "live" }
fault { op = "read", nth = 2, error = "EIO", export = "*", name = "all" }
fault { op = "read", nth = 1, error = "ENOSPC", export = "s", name = "s" }
fault { op = "open", error = "EIO", name = "door", after = 2 }
fault { op = "open", error = "EIO", name = "other door", export = "s", after = 1 }'
is "$(python 'from clients import *
s = connect("s")
print(*[outcome(c.pread, 1, 0) for c in (s, h, s, h)])
print(outcome(connect, ""), outcome(connect, "s") != "ok", outcome(connect, "") != "ok")
print({name: (r["hits"], r["fired"]) for name, r in rules().items()})')" "ENOSPC EIO ok ok
ok True True
{'live': (2, 1), 'all': (4, 1), 's': (2, 1), 'door': (3, 1), 'other door': (2, 1)}" "which export a rule is about"
stopped

# Regions, exact to the byte, all over the largest disk.
cat >region.py <<'PY'
from clients import *
SIZE, M = (1 << 63) - 1, 1 << 20
wrong, h = 0, connect()
def calls(count, offset):
    yield h.pread, count, offset
    yield h.pwrite, bytes(count), offset
    yield h.zero, count, offset
    yield h.trim, count, offset
    yield h.cache, count, offset
    yield (lambda count, offset: extents(h, count, offset)), count, offset
for start, count in (0, 1), (0, 4096), (M + 1, 1), (M, 513), (SIZE - 1, 1), (SIZE - 4097, 4097), (SIZE // 2, SIZE // 2 + 1), (4096, SIZE - 4096), (M, 1 << 40):
    end = start + count
    given = "offset = %d, count = %d" % (start, count)
    forms = [given]
    if end == SIZE: forms.append("offset = %d" % start)
    if start == 0: forms.append("count = %d" % count)
    for form in forms:
        control('fault.clear() fault { op = "any", error = "EIO", %s }' % form)
        for a, b in ((start - 1, start), (start - 5, start), (start - 1, start + 1), (start, start + 1), (end - 1, end), (end - 1, end + 1),
                     (end, end + 1), (end, end + 7), (start - 3, min(end + 3, start + 5000)), (0, 1), (SIZE - 1, SIZE)):
            if a < 0 or b > SIZE or a >= b: continue
            want = "EIO" if a < end and b > start else "ok"
            for f in calls(b - a, a):
                if outcome(*f) != want:
                    wrong += 1
                    print(form, f, "not", want)
        if outcome(h.flush) != "ok": print("flush has no offset")
print(wrong)
PY
serve size=$(((1 << 63) - 1)) control="$scratch/ctl"
is "$(python "$(cat region.py)")" "0" "regions are exact to the byte"
stopped
done_testing
