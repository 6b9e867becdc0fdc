#!/usr/bin/env bash
# While clients write, flush and set marks, and the power is cut and comes back, past
# moments are opened: each shows the same whenever it is opened.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"
random_work 20000 2000

cat >busy.py <<'PY'
from clients import *
import random
seed, work, size = os.environ["SEED"], int(os.environ["WORK"]) // 4, 1 << 18
ends = threading.Event()

def worker(k):
    rnd = random.Random(f"{seed} w{k}")
    c, bufs = connect(), [nbd.Buffer.from_bytearray(bytearray([i + 1]) * 8192) for i in range(250)]
    def one(i):
        at, n = rnd.randrange(size - 8192), rnd.choice((512, 4096, 100, 8192))
        fua = nbd.CMD_FLAG_FUA if rnd.random() < 0.05 else 0
        kind = rnd.random()
        if kind < 0.1: return lambda done: c.aio_flush(completion=done)
        if kind < 0.2: return lambda done: c.aio_zero(n, at, completion=done, flags=fua)
        b = nbd.Buffer.from_bytearray(bytearray([1 + rnd.randrange(250)]) * n)
        return lambda done: c.aio_pwrite(b, at, completion=done, flags=fua)
    return flood(c, [one(i) for i in range(work)])

def image(name):
    c = connect(name)
    data = c.pread(size, 0)
    c.shutdown()
    return hash(bytes(data))

def looker(k):
    rnd, seen = random.Random(f"{seed} l{k}"), {}
    while not ends.is_set() or len(seen) < 5:
        name = rnd.choice(list(seen)) if seen and rnd.random() < 0.5 else None
        if not name:
            n = rnd.randrange(1, 1 + 4 * work)
            point = rnd.choice((f"{n}", f"before-{n}", f"flush-{n // 20 + 1}", f"before-flush-{n // 20 + 1}", "mark-m", "cut-1"))
            name = f"crash/{point}/{rnd.choice(('none', 'all', f'sectors-{n % 9}', f'reqs-{n % 9}', f'prefix-{n}'))}"
        try: got = image(name)
        except nbd.Error:
            if name in seen: return name + " is gone"
            continue
        if seen.setdefault(name, got) != got: return name + " has changed"
    return None

def power():
    while not ends.is_set():
        control("disk:mark [[m]]")
        time.sleep(0.02)
        control("disk:cut [[sectors-3]] disk:power_on()")
def work_all():
    try: return together(*[lambda k=k: worker(k) for k in range(4)])
    finally: ends.set()
all = together(work_all, power, *[lambda k=k: looker(k) for k in range(2)])
outcomes = {o for g in all[0] for o in g}
print("ok" in outcomes, outcomes <= {"ok", "ESHUTDOWN"}, all[2:])
PY
cached 256K history=1G
is "$(python "$(cat busy.py)")" "True True [None, None]" "the past does not change"
stopped
done_testing
