#!/usr/bin/env bash
# log=FILE to a pipe: a reader that is slow, that sleeps or that goes does not hold
# up the disk, and the log says how many lines are missing.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

# The reader sleeps: what does not fit is dropped, and the log says so.
# The long name fills it soon.
mkfifo pipe
read_pipe sleeps slow.log
serve size=1M log=pipe lua='fault { op = "read", error = "EIO", name = ("n"):rep(50000) }
fault { op = "write", delay = "1ms", name = "w" }'
cat >faults.py <<'PY'
from clients import *
for i in range(1000):
    outcome(h.pread, 512, 0)
h.pwrite(b"x", 0)
open("go on", "w").close()
PY
is "$(python - <faults.py)" "" "a thousand faults with nobody to read of them"
# The reader has begun to read, so the log will have room again.
is "$(python 'from clients import *
for i in range(100):
    outcome(h.pread, 512, 0)
    time.sleep(0.01)')" "" "more faults when it is read"
stop
wait "$reader"
is "$(read_log slow.log 'events = [l for l in lines if "did" in l]
dropped = [l["dropped"] for l in lines if "dropped" in l]
print(len(events) > 150 or len(events), len(dropped) > 0)
seq = 0
for l in every:
    seq += l.get("dropped", 1)
    if "dropped" not in l and l["seq"] != seq: print("at", seq, l["seq"])
print(seq, [(l["matched"], l["fired"]) for l in lines if "matched" in l])')" "True True
2208 [(1100, 1100), (1, 1)]" "the lines and what was dropped add up"
like "$(cat log)" "log=.*/pipe: [0-9]+ lines were lost: they came faster" "the server says so"

# The reader is slow but reads, and several clients wait for it: each line has its
# own number.
read_pipe sips sips.log
serve size=1M log=pipe lua='fault { op = "read", error = "EIO", name = ("n"):rep(60000) }'
is "$(python 'from clients import *
for i in range(8):
    if os.fork() == 0:
        c = connect()
        for i in range(1000): outcome(c.pread, 512, 0)
        os._exit(0)
for i in range(8): os.wait()
open("go on", "w").close()')" "" "eight clients that wait for the log"
stop
wait "$reader"
is "$(read_log sips.log 'seq = 0
for l in every:
    seq += l.get("dropped", 1)
    if "dropped" not in l and l["seq"] != seq: print("at", seq, l["seq"])
print(seq)')" "16004" "no number comes twice, and none is left out"

# Nobody ever reads: the server ends all the same.
read_pipe sleeps /dev/null
serve size=1M log=pipe lua='fault { op = "read", error = "EIO", name = ("n"):rep(50000) }'
python 'from clients import *
for i in range(10): outcome(h.pread, 512, 0)'
stopped
like "$(cat log)" "log=.*/pipe: [0-9]+ lines were lost" "it says what was lost"
kill "$reader"

# The reader goes: no signal ends the server, which goes on serving.
read_pipe sleeps /dev/null
serve size=1M log=pipe lua='fault { op = "read", error = "EIO" }'
kill "$reader"
wait "$reader"
is "$(python 'from clients import *
for i in range(100): outcome(h.pread, 512, 0)
print(outcome(h.flush))')" "ok" "the reader goes"
stopped
is "$(grep -Ec "log=.*/pipe: 20[0-4] lines were lost: Broken pipe" log)" 1 "said once"
done_testing
