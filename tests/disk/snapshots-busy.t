#!/usr/bin/env bash
# Snapshots come and go while eight clients write: to the live disk, and to the
# snapshots themselves.  Each snapshot is the disk at one moment.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
random_work 2000 200

# Each write fills one block of 4 KiB with one byte, so no block may be mixed, and
# the content of a snapshot must not change by itself.
cat >busy.py <<'PY'
import os, random, threading, nbd
sock, n, seed = os.environ["sock"], int(os.environ["WORK"]), int(os.environ["SEED"])
wrong, stop = [], False
def connect(name):
    c = nbd.NBD(); c.set_export_name(name); c.connect_unix(sock); return c
def writer(k):
    rnd, c = random.Random(seed + k), connect("")
    for i in range(n):
        c.pwrite(bytes([rnd.randrange(1, 256)]) * 4096, rnd.randrange(256) * 4096)
def visitor(k):
    rnd = random.Random(seed + 100 + k)
    while not stop:
        try: c = connect("s%d" % rnd.randrange(4))
        except nbd.Error: continue
        block = rnd.randrange(256) * 4096
        mine = bytes([k]) * 4096
        c.pwrite(mine, block)
        before = c.pread(1 << 20, 0)
        if any(len(set(before[b:b + 4096])) > 1 for b in range(0, 1 << 20, 4096)): wrong.append("mixed")
        if before[block:block + 4096] != mine and c.pread(1, block)[0] not in (1, 2, 3): wrong.append("lost")
ws = [threading.Thread(target=writer, args=(k,)) for k in range(5)]
vs = [threading.Thread(target=visitor, args=(k,)) for k in range(1, 4)]
for t in ws + vs: t.start()
while any(t.is_alive() for t in ws): h.cache(512, 0)
stop = True
for t in ws + vs: t.join()
print(wrong)
PY
serve size=1M lua='local n = 0
function on.cache()
  n = n + 1
  if n > 4 then disk:drop("s" .. n % 4) end
  disk:snapshot("s" .. n % 4)
end'
is "$(python "$(cat busy.py)")" "[]" "no block is torn, none is lost"
stopped
done_testing
