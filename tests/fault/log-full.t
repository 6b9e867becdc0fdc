#!/usr/bin/env bash
# log=FILE where a file can't grow: the disk goes on, no line stays half written,
# and the log says how many are missing.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

# A full file system.
serve size=1M log=/dev/full lua='fault { op = "read", error = "EIO" }'
is "$(python 'from clients import *
for i in range(100): outcome(h.pread, 512, 0)
print(outcome(h.flush))')" "ok" "a full file system"
stopped
is "$(grep -c "log=/dev/full: 204 lines were lost: No space left on device" log)" 1 "said once"

# One that is full for a while: 8 KiB is all that the file may have.  No line
# stays half written, and a line says how many are missing.
serve size=1M log=limited.log lua='fault { op = "read", error = "EIO", name = ("n"):rep(700) }'
cat >limited.py <<'PY'
from clients import *
import resource
pid = int(open("server.pid").read())
def limit(n):
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
def faults(n):
    for i in range(n):
        outcome(h.pread, 512, 0)
# As many lines as there is room for, of which each is whole.
def full():
    lines = open("limited.log").read()
    return 8192 - 1000 < len(lines) <= 8192 and lines.endswith("}\n")
limit(8192)
faults(15)
until(full)
faults(15)
until(full)
limit(resource.RLIM_INFINITY)
faults(1)
until(lambda: os.path.getsize("limited.log") > 8192)
faults(5)
PY
is "$(python - <limited.py)" "" "the file grows no more, then it does"
stopped
# Lines that came while it could not grow need not be lost.
is "$(read_log limited.log 'seq = 0
for l in every:
    seq += l.get("dropped", 1)
    if "dropped" not in l and l["seq"] != seq: print("at", seq, l["seq"])
print(seq, lines[-1]["fired"])
print(0 < sum(l.get("dropped", 0) for l in every) < 50)')" "76 36
True" "no line is half, and those missing are counted"
like "$(cat log)" "log=.*/limited.log: [0-9]+ lines were lost: File too large" "the server says why"
# One that stays full: what it has at the end are whole lines.
serve size=1M log=limited.log lua='fault { op = "read", error = "EIO", name = ("n"):rep(700) }'
python 'from clients import *
import resource
resource.prlimit(int(open("server.pid").read()), resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
for i in range(15): outcome(h.pread, 512, 0)'
stopped
there=$(grep -c '"seq"' limited.log)
is "$(read_log limited.log 'seq = 0
for l in every:
    seq += l.get("dropped", 1)
    if "dropped" not in l and l["seq"] != seq: print("at", seq, l["seq"])
print(len(every) > 10)')" True "full to the end: no line is half"
like "$(cat log)" "log=.*/limited.log: $((34 - there)) lines were lost: File too large" "and the server says how many are missing"
done_testing
