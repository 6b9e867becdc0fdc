#!/usr/bin/env bash
# Chunks that wait for their turn, or for their answer: they are not begun when
# nobody waits for them any more, a long answer lets others in, and a burst of
# clients is not refused.
. "$(dirname "$0")/../lib/lib.sh"
need python3
[ "$WATCH" != tsan ] || skip_all "what os.execute starts does not bear the sanitizer"

# hold: Lua that holds the lock until the file "go" appears, inside of C.
hold='os.execute [[touch held; until [ -e go ]; do sleep 0.01; done]]'
cat >turns.py <<'PY'
import fcntl, json, signal, struct, sys, termios, threading, time
from control import *
server = int(sys.argv[1])
hold = sys.argv[2].encode()

def threads():
    return len(os.listdir(f"/proc/{server}/task"))

def held(client, chunk):
    """Send a chunk, and wait until it holds the lock."""
    for name in ("go", "held"):
        if os.path.exists(name): os.unlink(name)
    client.send(chunk)
    until(lambda: os.path.exists("held"))

def define(client, lua):
    """Run Lua of several lines."""
    assert client(lua.replace("\n", "\r")) == {}

def go():
    open("go", "w").close()

def stop():
    """Ask the server to end, and wait until control_stop has begun: the thread
    that accepts clients has gone."""
    n = threads()
    os.kill(server, signal.SIGTERM)
    until(lambda: threads() < n)
PY

# turns NAME EXPECTED: what the Python on standard input prints, and the log is.
turns ()
{
    cat turns.py - >all.py
    python3 all.py "$server" "$hold" >got 2>&1
    is "$(cat got)" "$2" "$1"
}

serve size=1M control=ctl.sock hook-timeout=1000
turns "a chunk whose client has gone is not begun" nil <<'PY'
first = Control(); first("1")
alone = threads()
held(first, hold + b"\n")
late = Control(); late.send(b"late = 1\n"); until(lambda: threads() > alone); late.close()
go(); first.answer()
until(lambda: threads() == alone)
print(first("tostring(late)")["result"])
PY
turns "nor is the next of its chunks" nil <<'PY'
first, late = Control(), Control()
held(late, hold + b"\nlate = 1\n")
late.close()
n = threads()
go()
until(lambda: threads() < n)
print(first("tostring(late)")["result"])
PY
turns "many keys are in order, and others have their turn meanwhile" "True True" <<'PY'
c, other = Control(), Control()
define(c, """n, keys = 0, {} for i = 1, 200000 do keys[i * 7919 % 200000 * 512] = 1 end
     first = setmetatable({}, {__tojson = function() n = 0 return 0 end})
     last = setmetatable({}, {__tojson = function() return n end})""")
# Another client always waits.  That it has its turn is only likely each time.
for i in range(100):
    other.send(b"n = n + 1\n" * 1000)
    got = c("{first, keys, last}")["result"]
    for k in range(1000): other.answer()
    if got[2] > 0: break
numbers = [int(k) for k in got[1]]
print(got[2] > 0, numbers == sorted(numbers))
PY
turns "keys that go meanwhile are left out, new ones do not come" "ok" <<'PY'
c, other = Control(), Control()
define(c, """keys = {} for i = 1, 100000 do keys[i] = 1 end keys[0] = 1""")
done = False
def change():
    i = 0
    while not done:
        i += 1
        other(f"for k = {i * 100}, {i * 100 + 99} do keys[k] = nil keys[-k] = 2 keys['x' .. k] = 3 end")
t = threading.Thread(target=change, daemon=True); t.start()
for i in range(5):
    got = c("keys")
    if "error" in got: print(got)
done = True
t.join()
print("ok")
PY
turns "what becomes too long by its escapes is given up where it does" "True True" <<'PY'
c = Control()
def work(chunk):
    """The processor time that the server needs for a chunk five times."""
    def ticks():
        return sum(map(int, open(f"/proc/{server}/stat").read().rsplit(")")[1].split()[11:13]))
    before = ticks()
    for i in range(5): got = c(chunk)
    return ticks() - before, got
define(c, """fits, long = ("\\0"):rep(2700000), ("\\0"):rep(16000000)""")
least, got = work("fits")
assert len(got["result"]) == 2700000
for chunk in ["long", "{[long] = 1}"]:
    most, got = work(chunk)
    assert got == {"error": "the result is longer than 16 MiB"}, got
    print(most < 3 * least, end=" " if chunk == "long" else "\n")
    if most >= 3 * least: print("#", least, most)
PY
turns "100 clients that do not block, while the server stands still" "100 connected" <<'PY'
os.kill(server, signal.SIGSTOP)
until(lambda: "T (stopped)" in open(f"/proc/{server}/status").read())
clients, connected = [], 0
for i in range(100):
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    connected += s.connect_ex("ctl.sock") == 0
    clients.append(s)
os.kill(server, signal.SIGCONT)
for s in clients: s.close()
until(lambda: Control()("1") == {"result": 1})
print(connected, "connected")
PY
stopped

serve size=1M control=ctl.sock hook-timeout=1000
turns "chunks that wait while the server ends are not begun" "{'closed'}" <<'PY'
def taken(client):
    """Has the server received all that the client has sent?"""
    return struct.unpack("i", fcntl.ioctl(client.socket, termios.TIOCOUTQ, b"\0" * 4))[0] == 0
first, *others = clients = [Control() for i in range(30)]
held(first, hold + b" return 1\n" + b"print 'NEVER'\n" * 1000)
for c in others: c.send(b"print 'NEVER'\n")
until(lambda: all(taken(c) for c in others))
stop()
go()
print({c.answer() for c in clients})
PY
ended "$server"
is "$? $(cat log)" "0 " "the server has ended, and none was begun"

serve size=1M control=ctl.sock hook-timeout=1000
turns "a long answer is given up" "closed" <<'PY'
c = Control()
define(c, """all = {setmetatable({}, {__tojson = function() """ + hold.decode() + """ end})}
     for i = 2, 200000 do all[i] = setmetatable({}, {__tojson = print}) end""")
held(c, b"all\n")
stop()
time.sleep(0.1)                 # until it is due that others have their turn
go()
print(c.answer())
PY
ended "$server"
is "$?" 0 "the server has ended"
ok $(($(wc -l <log) > 1000)) "after a small part of it" || wc -l log | tell

serve size=1M control=ctl.sock hook-timeout=1000
turns "so is the sorting of many keys" "closed" <<'PY'
c = Control()
define(c, """key = setmetatable({}, {__tostring = function() """ + hold.decode() + """ return "k" end})
     all = {[key] = 1} for i = 1, 300 do all[setmetatable({}, {__tostring = function() print "key" return "k" end})] = 1 end""")
held(c, b"all\n")
stop()
go()
print(c.answer())
PY
ended "$server"
is "$?" 0 "the server has ended"
done_testing
