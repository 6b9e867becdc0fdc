#!/usr/bin/env bash
# A server that is told to stop does so without more work, whatever its hooks do, and
# an abandoned hook closes its variables.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >client.py <<'PY'
from clients import *
all = [connect() for i in range(2)]
cookies = []
for c in all:
    for i in range(16):
        cookies.append(getattr(c, "aio_" + os.environ["op"])(nbd.Buffer(512), 512 * i)
                       if os.environ["op"] != "flush" else c.aio_flush())
until(lambda: "begin" in log())
open("ready", "w").close()
# Clients go when the server wants to.
for c in all:
    try:
        while c.aio_in_flight():
            c.poll(-1)
    except nbd.Error:
        pass
os._exit(0)
PY

# stops NAME OP SCRIPT [PARAMETERS]: the server is told to stop while it serves 32 such
# requests.
stops ()
{
    export op=$2
    serve size=1M lua="$3" "${@:4}"
    at_work nbdsh -c "$(cat client.py)"
    stopped_at_once "$1"
    wait "$client"
}
stops "hangs" pread 'function on.read() print "begin" hang() print "NEVER" end'
is "$(grep -c NEVER log)" 0 "what hangs does not go on"
stops "hangs that something is left to do for" pread 'function on.read(req)
  local n = req.n
  local a <close> = setmetatable({}, {__close = function() print("closed", n) end})
  local b <close> = setmetatable({}, {__close = function() error "raised" end})
  print "begin"
  pcall(hang)
  print "NEVER"
end'
# On a slow machine, not all of them have begun.
is "$(grep -c '^closed' log) $(grep -c NEVER log)" "$(grep -c '^begin' log) 0" "they do it, and pcall does not keep them"
[ "$(grep -c '^begin' log)" -ge 2 ]
ok $? "there were several"
stops "sleeps" pwrite 'function on.write() print "begin" for i = 1, 1000 do sleep "90s" end end'
stops "sleeps of no length" pwrite 'function on.write() print "begin" while true do sleep(0) end end'
stops "endless loops" pread 'function on.read() print "begin" while true do end end'
stops "endless loops around pcall" pread 'function on.read() print "begin"
    while true do pcall(function() while true do end end) end end'
# The same with all the time in the world.
stops "endless loops around pcall in C" pread 'function on.read() print "begin"
    table.sort({3, 2, 1}, function() while true do pcall(function() while true do end end) end end) end' hook-timeout=1000000000
stops "endless loops in __close" pread 'function on.read()
  local a <close> = setmetatable({}, {__close = function() while true do pcall(function() while true do end end) end end})
  print "begin"
  hang()
end' hook-timeout=1000000000
stops "endless runs" pread 'function on.read(r) print "begin" while true do r:run() end end'
# Long work of disk, which does not count as the hook's time.
stops "disk:random" pread 'function on.read() print "begin" disk:random(0, "2G") print "NEVER" end' size=2G
is "$(grep -c NEVER log)" 0 "it does not go on"
stops "hangs in on.fill" pread 'function on.fill() print "begin" hang() end'
stops "on.close" flush 'function on.flush() print "begin" hang() end
function on.close() sleep(1000) end
function on.close() while true do end end'

# The same when the client goes, while the server stays.
serve size=1M lua='
function on.write(req)
  local n = req.n
  local a <close> = setmetatable({}, {__close = function() print("closed", n) end})
  print "begin"
  if req.n == 1 then hang() elseif req.n == 2 then sleep "60m"
  elseif req.n == 3 then pcall(hang) print "NEVER"
  else coroutine.wrap(function() coroutine.yield() end)() hang() end
end
function on.open(c)
  if c.id == 3 then
    local a <close> = setmetatable({}, {__close = function() print "closed open" end})
    hang()
  end
end'
is "$(python 'from clients import *
import socket
c = connect()
for i in range(16):
    c.aio_pwrite(nbd.Buffer(512), 0)
until(lambda: c.poll(1) is not None and log().count("begin") == 16)
del c
until(lambda: log().count("closed\t") == 16)
import raw_nbd
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["sock"])
s.recv(18)
s.sendall(b"\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\0")
s.close()
until(lambda: "closed open" in log())
print(outcome(h.pread, 512, 0))')" ok "when the client goes, others are served on"
is "$(grep '^closed	' log | sort -u | wc -l) $(grep -c NEVER log)" "16 0" "and each is closed once"
stopped
done_testing
