#!/usr/bin/env bash
# The control socket serves any number of clients, good and bad, and the disk goes
# on undisturbed.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh python3

# A client of the disk that writes and reads back until there is a file "enough".
cat >work.py <<'PY'
import os, random, signal
signal.alarm(1000)
rounds = 0
while rounds < 50 or not os.path.exists("enough"):
    for i in range(20):
        block, data = random.randrange(2048), random.randbytes(512)
        h.pwrite(data, block * 512)
        assert h.pread(512, block * 512) == data
    h.flush()
    rounds += 1
print("undisturbed")
PY
work () { nbdsh -u "$uri" -c - <work.py >work.out 2>&1 & worker=$!; }
worked ()
{
    touch enough
    wait "$worker"
    is "$(cat work.out)" undisturbed "$1"
    rm enough
}

serve size=1M control=ctl.sock lua='
hooked = 0
function on.write() hooked = hooked + 1 end'
is "$(stat -c '%a %F' ctl.sock)" "600 socket" "mode 0600"
work

# Many at once, each with many chunks; no count is lost.
cat >many.py <<'PY'
from control import *
import threading
Control()("n = 0")
wrong = []
def client(i):
    c = Control()
    for k in range(100):
        got = c(f"n = n + 1 return {i}, {k}, n")
        if got["result"][:2] != [i, k]: wrong.append((i, k, got))
threads = [threading.Thread(target=client, args=(i,)) for i in range(40)]
for t in threads: t.start()
for t in threads: t.join()
print(Control()("n"), wrong)
PY
is "$(python3 many.py 2>&1)" "{'result': 4000} []" "40 clients with 100 chunks each"
worked "while others read and write"

work
cat >bad.py <<'PY'
from control import *
good = Control()
def check(name, got, expected=None):
    print("ok" if got == expected else f"got {got} expected {expected}:", name)
    if good("1 + 1") != {"result": 2}: print("others suffer from:", name)

silent = [Control() for i in range(20)]
check("clients that say nothing", None)

c = Control(); c.send(b"half = 'a li"); c.close()
check("half a line", good("rawget(_G, 'half')"), {"result": None})
c = Control(); c.send(b"whole = 1\nhalf = 'a li"); c.socket.shutdown(socket.SHUT_WR)
check("a line and a half", [c.answer(), c.answer()], [{}, "closed"])
check("the whole one was run", good("whole, half"), {"result": [1, None]})
c = Control(); c.send(b"late = 1\n"); c.close()
check("a client that goes before the answer", None)
c = Control(); c.send(b"a = 1\n"); c.send(b"a"); c.send(b" + "); c.send(b"1\n1\n2\n")
check("lines in pieces, and many at once", [c.answer() for i in range(4)], [{}] + [{"result": n} for n in (2, 1, 2)])
check("empty lines", [Control()(""), Control()("\r"), Control()("\n")], [{}, {}, {}])

# 1 MiB is the limit.
limit, too_long = 1 << 20, {"error": "the line is longer than 1 MiB"}
start, end = b"return #'", b"'"
def line(n): return start + b"x" * (n - len(start) - len(end)) + end + b"\n"
for n, expected in ((limit - 1, {"result": limit - 11}), (limit, {"result": limit - 10}), (limit + 1, too_long),
                    (limit + 5000, too_long), (3 * limit, too_long), (40 * limit, too_long)):
    c = Control(); c.send(line(n))
    check(f"a line of {n} bytes", c.answer(), expected)
    check("the same client is served on", c("1"), {"result": 1})
c = Control(); c.send(line(limit) * 3 + line(limit + 1) + b"7\n")
check("several of them", [c.answer() for i in range(5)], [{"result": limit - 10}] * 3 + [too_long, {"result": 7}])
c = Control(); c.send(b"x" * (5 * limit)); c.close()
check("half a line of 5 MiB", None)
c = Control()
for b in line(5000): c.send(bytes([b]))
check("a line byte by byte", c.answer(), {"result": 4990})

# Rubbish: each line of it has an answer, and it is an error.
import random
seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
print(f"# SEED={seed}")
random.seed(seed)
for i in range(200):
    rubbish = random.randbytes(random.randrange(3000))
    c = Control(); c.send(rubbish + b"\n1\n"); c.socket.shutdown(socket.SHUT_WR)
    answers = []
    while (a := c.answer()) != "closed": answers.append(a)
    if len(answers) != rubbish.count(b"\n") + 2 or answers[-1] != {"result": 1}:
        print("rubbish", rubbish, answers)
    c.close()
for rubbish in (b"\0", b"\0" * 1000, b"\x1bLua" + bytes(range(256)).replace(b"\n", b""),
                b"GET / HTTP/1.0\r", b"(" * 100000, b"{" * 100000, b"[" + b"=" * 100000, b"\xff" * limit):
    c = Control(); c.send(rubbish + b"\n")
    check(f"rubbish {rubbish[:10]}", list(c.answer()), ["error"])

# Other clients do not wait for one that never reads.
deaf = [Control() for i in range(5)]
for c in deaf:
    for i in range(20): c.send(b"string.rep('x', 15 << 20)\n")
check("clients that do not read", None)
slow = Control(); slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
check("a large answer", slow("string.rep('x', 15 << 20)"), {"result": "x" * (15 << 20)})
for c in deaf + silent: c.close()

# More clients than the limit.  Those that leave make room.
many = []
while True:
    c = Control(); many.append(c)
    if (got := c("1")) != {"result": 1}: break
check("more than there may be", [got, c.answer()], [{"error": "too many control clients"}, "closed"])
check("how many there may be", 40 < len(many) < 65, True)
for c in many: c.close()
until(lambda: Control()("1") == {"result": 1})
check("room again", None)
print("that was all")
PY
python3 bad.py >got 2>&1
is "$(grep -v '^ok\|^#\|^that was all' got)" "" "bad clients harm no others" || head -5 log
grep '^#' got
is "$(tail -1 got)" "that was all" "all was tried"
worked "while others read and write"
like "$(python3 -c 'from control import *; print(Control()("hooked"))')" "[0-9]{3,}" "whose hooks ran"
is "$(cat log)" "" "the log has nothing about it"
stopped
[ ! -e ctl.sock ]
ok $? "the socket is gone"

# memctl says why it was refused, even if it could not send anything any more.
serve size=1M control=ctl.sock
cat >full.py <<'PY'
from control import *
import subprocess
many = []
while True:
    many.append(Control())
    if many[-1]("1") != {"result": 1}: break
many.pop()
for i in range(30):
    r = subprocess.run([os.environ["TOP"] + "/memctl", "ctl.sock", "local x = '" + "x" * 100000 + "'"], capture_output=True)
    print(r.returncode, r.stderr.decode(), end="")
PY
is "$(TOP=$TOP python3 full.py 2>&1 | sort -u)" "1 memctl: too many control clients" "memctl says so"
stopped
done_testing
