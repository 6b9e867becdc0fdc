#!/usr/bin/env bash
# All connections see one disk, and if many of them write the same bytes, no sector is
# ever partly from one and partly from another.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

serve size=1M
python - >out <<'PY'
import os
others = [nbd.NBD() for _ in range(3)]
for n, other in enumerate(others):
    other.connect_uri(os.environ["uri"])
    other.pwrite(bytes([n + 1]) * 5000, n * 5000)
for n, other in enumerate(others):
    expected = b"".join(bytes([i + 1]) * 5000 for i in range(3))
    if other.pread(15000, 0) != expected:
        print(f"connection {n} reads something else")
others[0].zero(5000, 5000)
del others
print(h.pread(5000, 0) == b"\1" * 5000, h.pread(5000, 5000) == bytes(5000), h.can_multi_conn())
PY
is "$(cat out)" "True True True" "what one connection writes, others read"
stopped

# Each sector that is written repeats one word of 8 bytes, which names the
# writer, the request and the sector.  So each one that is read must repeat a
# word that names that sector, or be zero.
# Each connection has two threads: nbdkit's usual 16 would be too many for sanitizers
# and valgrind.
connections=200
[ "$WATCH" != valgrind ] || connections=24
export connections
random_work 30000 800
serve --threads=2 size=64G
cat >client.py <<'PY'
import os, random, struct
seed, work = int(os.environ["SEED"]), int(os.environ["WORK"])
processes, connections = 4, int(os.environ["connections"])
# Two windows of 1 MiB, 32 GiB apart.
windows = 0, 32 << 30
sectors = 2048

# Half of the requests go to the same 64 KiB: large ones, which take long, and small
# ones in between.
def some_range():
    if random.random() < 0.5:
        count = random.choice((1, 2, 8, 128))
        return windows[0], 1024 + random.randrange(128 - count + 1), count
    count = random.choice((1, 1, 2, 8, 9, 64, 128, 200))
    return random.choice(windows), random.randrange(sectors - count + 1), count

def sector(writer, n, number):
    return struct.pack(">HHI", writer, n & 0xffff, number) * 64

def wrong(data, first):
    for i in range(0, len(data), 512):
        got = data[i:i + 512]
        if got != got[:8] * 64:
            return f"sector {first + i // 512} is torn"
        number = struct.unpack(">I", got[4:8])[0]
        if any(got) and number != first + i // 512:
            return f"sector {first + i // 512} holds what was written to {number}"

def client(process):
    random.seed(f"{seed} {process}")
    handles = []
    for _ in range(connections // processes):
        handles.append(nbd.NBD())
        handles[-1].connect_uri(os.environ["uri"])
    for n in range(work // connections):
        requests = []
        for i, handle in enumerate(handles):
            base, first, count = some_range()
            offset, size = base + first * 512, count * 512
            what = random.choice(("read", "read", "write", "write", "zero", "trim"))
            buffer = None
            if what == "read":
                buffer = nbd.Buffer(size)
                cookie = handle.aio_pread(buffer, offset)
            elif what == "write":
                data = b"".join(sector(process * 1000 + i + 1, n, first + j) for j in range(count))
                buffer = nbd.Buffer.from_bytearray(bytearray(data))
                cookie = handle.aio_pwrite(buffer, offset)
            elif what == "zero":
                cookie = handle.aio_zero(size, offset)
            else:
                cookie = handle.aio_trim(size, offset)
            requests.append((handle, cookie, what, first, buffer))
        for handle, cookie, what, first, buffer in requests:
            while not handle.aio_command_completed(cookie):
                handle.poll(-1)
            if what == "read":
                problem = wrong(bytes(buffer.to_bytearray()), first)
                if problem:
                    print(problem, flush=True)
                    os._exit(1)

children = []
for process in range(processes):
    child = os.fork()
    if child == 0:
        try:
            client(process)
            os._exit(0)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(1)
    children.append(child)
if any(os.waitpid(child, 0)[1] for child in children):
    print("a client failed")
for base in windows:
    print(wrong(bytes(h.pread(sectors * 512, base)), 0) or "whole")
PY
is "$(python <client.py)" "whole
whole" "$connections connections at once: no sector is torn"
alive "the server is alive"
stopped
done_testing
