#!/usr/bin/env bash
# A request that sleeps or hangs does not hold up others, either of its connection or
# of another one.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Reads at 0 wait until someone writes "go": if they held up the write, the test would
# never end.
cat >gate.lua <<'LUA'
local open = false
function on.write(req) if req.data == "go" then open = true end end
function on.read(req)
  if req.offset > 0 then return end
  while not open do sleep "2ms" end
end
function on.flush() hang() end
function on.trim() open = false end
LUA
cat >gate.py <<'PY'
from clients import *
other = connect()
for name, writer in ("the same", h), ("another", other):
    h.trim(512, 0)
    cookies = [h.aio_pread(nbd.Buffer(512), 0) for i in range(13)] + [h.aio_flush(), h.aio_flush()]
    if name == "the same":
        waits = writer.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"go")), 4096)
        cookies.append(waits)
    else:
        writer.pwrite(b"go", 4096)
    reads = cookies[:13]
    print(name, set(finish(h, reads)), h.aio_command_completed(cookies[13]))
    h = connect()
# nbdkit serves at most sixteen requests of one client at the same time.
for i in range(16):
    h.aio_flush()
print(outcome(other.pwrite, b"x" * 512, 8192), other.pread(3, 8192))
PY
serve size=1M hooks=gate.lua
is "$(python "$(cat gate.py)")" "the same {'ok'} False
another {'ok'} False
ok bytearray(b'xxx')" "others go on"
stopped

# Many clients, each on its own part of the disk, and hooks that sleep, run, pass on
# changed data and fail by chance.  Each byte that is read was written, and the
# counters that the hooks share are right.
random_work 2000 200
cat >many.lua <<'LUA'
math.randomseed(tonumber(param.s))
local busy, started, ended = 0, 0, 0
local function around(req)
  started = started + 1
  busy = busy + 1
  local mine <close> = setmetatable({}, {__close = function() busy = busy - 1 ended = ended + 1 end})
  local r = math.random(8)
  if r == 1 then sleep(0) elseif r == 2 then sleep "100us" elseif r == 3 then fail "ENOSPC" end
  if r == 4 and req.op == "write" then req.data = req.data:upper() end
  req:run()
  if r == 5 then sleep "300us" elseif r == 6 then error("by chance") end
  if r == 7 and req.op == "read" then req.data = req.data:lower() end
end
on.read, on.write, on.trim, on.zero = around, around, around, around
function on.flush() print("counted", busy, started, ended) end
LUA
cat >many.py <<'PY'
from clients import *
import random, threading
seed, work = os.environ["SEED"], int(os.environ["WORK"])
def client(number):
    r = random.Random(f"{seed} {number}")
    c = connect()
    base, size = number << 17, 1 << 17
    may = [{0} for i in range(size // 512)]
    for i in range(work // 10):
        count = r.randrange(1, 20)
        first = r.randrange(len(may) - count)
        where = base + first * 512, count * 512
        letter = r.randrange(26)
        what = r.choice(("read", "write", "write", "zero", "trim"))
        if what == "read":
            try:
                data = c.pread(where[1], where[0])
            except nbd.Error:
                continue
            for n in range(count):
                got = set(data[n * 512:n * 512 + 512])
                if len(got) != 1 or not got <= {b | x for b in may[first + n] for x in ((0, 32) if b else (0,))} | may[first + n]:
                    print("client", number, "request", i, "sector", first + n, "has", got, "not", may[first + n])
        else:
            new = {97 + letter, 65 + letter} if what == "write" else {0}
            if what == "write":
                o = outcome(c.pwrite, bytes([97 + letter]) * where[1], where[0])
            else:
                o = outcome(getattr(c, what), where[1], where[0])
            for n in range(first, first + count):
                may[n] = new if o == "ok" else may[n] | new
threads = [threading.Thread(target=client, args=(n,)) for n in range(10)]
for t in threads:
    t.start()
for t in threads:
    t.join()
h.flush()
PY
serve size=2M hooks=many.lua s="$SEED"
is "$(python "$(cat many.py)")" "" "ten clients read what they wrote"
is "$(grep '^counted' log)" "counted	0	$WORK	$WORK" "the hooks counted right"
stopped
done_testing
