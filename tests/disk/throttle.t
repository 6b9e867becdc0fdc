#!/usr/bin/env bash
# disk:throttle lets the given number of bytes or requests pass each second, within
# 5 %.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# measure.py, with CASE="RATE UNIT CONNECTIONS DEPTH SIZE [SOCKET]": keep DEPTH
# requests of SIZE bytes in flight on each connection for ten seconds, while the
# same rate is set again and again through SOCKET.  Prints whether the rate was at
# most, and at least, what it should be.  Too slow does not count if the machine
# stood still at times, which is noticed by a thread that only sleeps.
cat >measure.py <<'PY'
from clients import *
import threading
rate, unit, connections, depth, size, *control = os.environ["CASE"].split()
rate, connections, depth, size = map(int, (rate, connections, depth, size))
again = Control(control[0]) if control else None
clients = [connect() for _ in range(connections)]
data = bytearray(size)
stalls = done = 0
end = None

def notice_stalls():
    global stalls
    while not end:
        before = time.monotonic()
        time.sleep(0.005)
        late = time.monotonic() - before - 0.005
        stalls += late if late > 0.02 else 0

watcher = threading.Thread(target=notice_stalls)
watcher.start()
flying = {c: [] for c in clients}
n = 0
start = last = time.monotonic()
while time.monotonic() < start + 10:
    for c in clients:
        while len(flying[c]) < depth:
            n += 1
            offset = n * size % (32 << 20)
            flying[c].append(c.aio_pwrite(nbd.Buffer.from_bytearray(data), offset) if n % 2
                             else c.aio_pread(nbd.Buffer(size), offset))
        c.poll(1 if connections == 1 else 0)
        left = [k for k in flying[c] if not c.aio_command_completed(k)]
        if len(left) < len(flying[c]):
            done += len(flying[c]) - len(left)
            last = time.monotonic()
        flying[c] = left
    if connections > 1:
        time.sleep(0.002)
    if again:
        again(f"disk:throttle{{{unit}={rate}}}")
end = last
watcher.join()
expected = rate * (end - start) / (size if unit == "bps" else 1)
print("as fast" if done >= 0.95 * expected else "machine stalled" if stalls > 0.2 else f"too slow: {done} of {expected}",
      "no faster" if done <= 1.05 * expected else f"too fast: {done} of {expected}")
PY
# All run at the same time, because they hardly need the processor.
cases=("4000000 bps 1 1 16384" "4000000 bps 1 16 16384" "4000000 bps 4 4 16384"
       "20000000 bps 2 2 1000000" "300 iops 1 1 4096" "300 iops 1 16 512"
       "300 iops 4 4 4096" "300 iops 2 4 4096 ctl7.sock")
for i in "${!cases[@]}"; do
    read -r rate unit _ <<<"${cases[i]}"
    serve --threads=16 size=64M control="ctl$i.sock" lua="disk:throttle { $unit = $rate }"
    CASE=${cases[i]} nbdsh -u "$uri" -c - <measure.py >"out$i" 2>&1 &
    measures[i]=$!
done
wait "${measures[@]}"
for i in "${!cases[@]}"; do
    like "$(cat "out$i")" ' no faster$' "${cases[i]}: no faster than it should be"
    case $(cat "out$i") in
    machine*) skip "${cases[i]}: as fast" "the machine stood still" ;;
    *) like "$(cat "out$i")" '^as fast' "${cases[i]}: as fast as it should be" ;;
    esac
done
for i in "${pids[@]}"; do
    end "$i"
done

# If these waited for the first rate, they would take a quarter of an hour.
serve --threads=20 size=64M control=ctl.sock lua='disk:throttle { bps = 100000 }'
cat >waiting.py <<'PY'
from clients import *
control = Control()
def wait():
    return [h.aio_pread(nbd.Buffer(8 << 20), 0) for _ in range(10)]
def free():
    for call in (h.flush, lambda: h.trim(1 << 20, 0), lambda: h.zero(1 << 20, 0), lambda: h.cache(1 << 20, 0)):
        call()
before = time.monotonic()
waiting = wait()
print(h.poll(200), any(h.aio_command_completed(c) for c in waiting))
free()
print("only what moves bytes waits")
control("disk:throttle { bps = 101000 }")
print(h.poll(200), any(h.aio_command_completed(c) for c in waiting))
control("disk:throttle { bps = '1G' }")
print(finish(h, waiting))
control("disk:throttle { bps = 1, iops = 1 }")
waiting = wait()
control("disk:throttle()")
print(finish(h, waiting))
for chunk in "{ bps = -1 }", "{ ips = 1 }", "1", "{ iops = {} }":
    try:
        print(control(f"disk:throttle({chunk})"))
    except RuntimeError:
        pass
# If a client is killed, nobody else has to wait for its requests.
control("disk:throttle { bps = 100000, iops = 1000 }")
child = os.fork()
if child == 0:
    h = connect()
    wait()
    h.poll(200)
    open("ready", "w").close()
    while True:
        h.poll(-1)
until(lambda: os.path.exists("ready"))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print(outcome(connect().pread, 4096, 0))
PY
is "$(python - <waiting.py)" "0 False
only what moves bytes waits
0 False
['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok']
['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok']
ok" "requests that wait follow new rates; a killed client leaves no debts"
stopped

# Clients that come, ask for much and leave do not starve one that waits for a
# second: without the right answer it would wait for as long as they come.
serve --threads=4 size=64M lua='disk:throttle { bps = 2000000 }'
cat >visitors.py <<'PY'
from clients import *
first = h.aio_pread(nbd.Buffer(2000000), 0)
visitors = 0
while visitors < 60 and not h.aio_command_completed(first):
    child = os.fork()
    if child == 0:
        c = connect()
        c.aio_pread(nbd.Buffer(1000000), 0)
        c.poll(50)
        os._exit(0)
    os.waitpid(child, 0)
    visitors += 1
    h.poll(150)
print(visitors < 60 or visitors, visitors > 0)
PY
is "$(python - <visitors.py)" "True True" "clients that come and go starve nobody"
stopped

# A request moves up, and follows a new rate, also beside one that hangs on the same
# connection and is the one that notices when the client leaves.
serve size=16M control=ctl lua='fault { op = "write", hang = true, optional = true } disk:throttle { bps = "4K" }'
cat >beside.py <<'PY'
from clients import *
h.aio_pwrite(nbd.Buffer(512), 0)
until(lambda: control("fault.list()")[0]["fired"] == 1)
child = os.fork()
if child == 0:
    connect().pread(12 << 20, 0)
until(lambda: control("disk:stats().read") is not None)
time.sleep(0.3)                 # so that it is first in the queue, or nearly
read = h.aio_pread(nbd.Buffer(4096), 0)
h.poll(300)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
# Hours at this rate, if it does not move up.
while not h.aio_command_completed(read):
    h.poll(100)
slow = h.aio_pread(nbd.Buffer(8 << 20), 0)
h.poll(300)
control("disk:throttle()")
while not h.aio_command_completed(slow):
    h.poll(100)
print("done", flush=True)
os._exit(0)
PY
is "$(python - <beside.py)" "done" "a request beside one that hangs moves up"
stopped

# The server ends although requests would wait for a day.  (Each thread has one,
# because nbdkit waits for threads that wait for an idle client.)
serve --threads=10 size=64M lua='disk:throttle { bps = 1000, iops = 1000 }'
nbdsh -u "$uri" -c '
import signal
signal.alarm(600)
all = [h.aio_pread(nbd.Buffer(8 << 20), 0) for _ in range(10)]
h.poll(200)
open("waiting", "w").close()
try:
    while True: h.poll(-1)
except nbd.Error: pass' >/dev/null 2>&1 &
client=$!
await_from "$client" "the client" [ -e waiting ]
stopped
kill "$client" 2>/dev/null
done_testing
