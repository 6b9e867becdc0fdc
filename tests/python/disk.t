#!/usr/bin/env bash
# python/nbdkit_memory.py: a disk for a block, rules for a block, and an error if a rule
# never fired.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/helper.sh"
need python3 qemu-io nbdcopy pgrep

cat >common.py <<'PY'
import os, subprocess, sys
from nbdkit_memory import Disk, Error, Lua, lua

def io(d, command, uri=None):
    """ok, or what qemu-io says."""
    r = subprocess.run(["qemu-io", "-f", "raw", "-c", command, uri or d.uri],
                       capture_output=True, text=True)
    return "ok" if r.returncode == 0 else r.stdout.strip() or r.stderr.strip()

def fails(f, *args, **keys):
    try:
        f(*args, **keys)
    except (Error, AssertionError, TypeError, ValueError) as e:
        print(type(e).__name__, e)
PY
export PYTHONPATH=$scratch:$PYTHONPATH

says "a rule is there for its block" "write failed: No space left on device
1 1
ok
[]" <<'PY'
from common import *
with Disk("1M") as d:
    with d.fault(op="write", error="ENOSPC") as rule:
        print(io(d, "write 0 512"))
        print(rule.hits, rule.fired)
    print(io(d, "write 0 512"))
    print(d.run("fault.list()"))
PY

says "a rule that never fired is an error at the end of its block" \
'AssertionError fault { op = "write", nth = 3, error = "EIO" } never fired (it matched 1 requests)
ok
RuntimeError mine' <<'PY'
from common import *
with Disk("1M") as d:
    def block(*, optional=False, mine=False):
        with d.fault(op="write", nth=3, error="EIO", **({"optional": True} if optional else {})):
            io(d, "write 0 512")
            if mine:
                raise RuntimeError("mine")
    fails(block)
    block(optional=True)
    print("ok")
    try:
        block(mine=True)
    except RuntimeError as e:
        print("RuntimeError", e)
PY

says "... or of the disk, also one of a script" \
'AssertionError fault rule mine (lua:1: op="read" error="EIO") never fired (it matched 0 requests)
fault rule python 1 (control:1: op="read" error="EIO") never fired (it matched 0 requests)
AssertionError fault { op = "read", error = "EIO" } never fired (it matched 0 requests)
AssertionError fault rule python 1 (control:1: op="read" error="EIO") never fired (it matched 0 requests)
RuntimeError mine' <<'PY'
from common import *
def script():
    with Disk("1M", lua=["fault { op = 'read', error = 'EIO', name = 'mine' }",
                         "fault { op = 'flush', error = 'EIO', optional = true }"]) as d:
        d.fault(op="read", error="EIO")
        d.fault(op="read", error="EIO", optional=True)
fails(script)
def live(check):
    with Disk("1M") as d:
        d.fault(op="read", error="EIO")
        if check:
            d.check()
fails(live, True)
fails(live, False)
try:
    with Disk("1M") as d:
        d.fault(op="read", error="EIO")
        raise RuntimeError("mine")
except RuntimeError as e:
    print("RuntimeError", e)
PY

says "a rule may be removed in its block, or stop the server" "[1, 1]
[1, 1]
write failed: Input/output error
1
AssertionError fault { op = \"read\", error = \"EIO\" } never fired (it matched 0 requests)" <<'PY'
from common import *
with Disk("1M") as d:
    with d.fault(op="write", error="EIO") as rule:
        io(d, "write 0 512")
        print(rule.remove())
    with d.fault(op="write", error="EIO") as rule:
        io(d, "write 0 512")
        d.run("fault.clear()")
        print([rule.hits, rule.fired])
def shutdown():
    with Disk("1M") as d:
        with d.fault(op="read", error="EIO"):
            with d.fault(op="write", shutdown=True, error="EIO") as rule:
                print(io(d, "write 0 512"))
            print(rule.fired)
fails(shutdown)
PY

says "a request that hangs, and a wait that names the rule as it was written" "True
Error control:1: fault { op = \"write\", hang = true } did not fire so often within 0.01 s (it matched 1 requests)
ok" <<'PY'
from common import *
with Disk("1M") as d:
    with d.fault(op="write", hang=True) as rule:
        client = subprocess.Popen(["qemu-io", "-f", "raw", "-c", "write -q 0 512", d.uri])
        rule.wait(60)
        print(client.poll() is None)
        fails(rule.wait, 0.01, 2)
        rule.off()
        rule.release()
        print("ok" if client.wait() == 0 else "failed")
PY

says "a rule knows what it is" 'op="write" from=0 error="EIO" control:1 None None
<Rule python 1: op="write" from=0 error="EIO">
fault { op = "write", from = 0, error = "EIO" }
True
TypeError from and from_ are the same key' <<'PY'
from common import *
with Disk("1M") as d:
    rule = d.fault(op="write", from_=0, error="EIO")
    print(rule.text, rule.where, rule.first, rule.last)
    print(repr(rule))
    print(rule)
    for i in range(2):
        subprocess.run(["qemu-io", "-f", "raw", "-c", "write 0 512", d.uri], capture_output=True)
    print(0 < rule.first < rule.last)
    fails(d.fault, op="write", from_=0, **{"from": 0})
PY

says "hooks that were never called are an error at the end, what a script says is not" \
'AssertionError hooks on.trim, on.zero (lua:1) were never called
ok' <<'PY'
from common import *
def hooks():
    with Disk("1M", lua="function on.trim() end on.zero = on.trim"):
        pass
fails(hooks)
with Disk("1M", lua="print 'fault rule: never fired'"):
    print("ok")
PY

says "values of Python are the same in Lua" "all the same
TypeError a object can't become a value of Lua
ValueError 9223372036854775808 is no integer of Lua: it needs more than 64 bits
ValueError None can't be a key of a table in Lua
ValueError nan can't be a key of a table in Lua
[[1, 2], True] [1, 'float', 'math.huge', 'nan'] 3" <<'PY'
from common import *
with Disk("1M") as d:
    values = [True, False, 0, -1, 2**63 - 1, -2**63, 0.1, 1e300, -1.5, 5e-324, "", "a\n\r\0b", "\"'\\]]--%d",
              "é\u20ac\U0001f600", "1", [1, [2, []]], ["x", True], {"a": 1, "b c": {"d": "\""}}]
    for v in values:
        if d.run(f"return {lua(v)}") != v:
            print("differs", v, lua(v))
    every = bytes(range(256))
    if d.run(f"{lua(every)}") != "".join(map(chr, every)):
        print("differs", lua(every))
    print("all the same")
    for v in object(), 2**63, {None: 1}, {float("nan"): 1}:
        fails(lua, v)
    print(d.run(f"return {lua({2: True, 1: (1, 2)})}"),
          d.run(f"return 1, math.type({lua(1.0)}), {lua(float('inf'))} == math.huge and 'math.huge', "
                f"{lua(float('nan'))} ~= {lua(float('nan'))} and 'nan'"),
          d.run("-- a comment\nreturn 1 +\r\n2"))
PY

says "a mistake is an error with the server's message" \
"Error control:1: fault: op has no 'wirte'; did you mean 'write'?
Error control:1: oops
Error nbdkit did not start: nbdkit: error: size=1x: expected a number of bytes up to 2^63-1, such as 512, 64K, 1M or 10G
Error nbdkit did not start: nbdkit: error: hoks=a: no script looks this parameter up; did you mean hooks?
Error there is no memory.so" <<'PY'
from common import *
with Disk("1M") as d:
    fails(d.fault, op="wirte", error="EIO")
    fails(d.run, "error('oops')")
fails(Disk, "1x")
fails(Disk, "1M", hoks="a")
import nbdkit_memory
del os.environ["NBDKIT_MEMORY_SO"]
os.path.exists = lambda name: False
try:
    Disk("1M")
except Error as e:
    print("Error", str(e).split(":")[0])
PY

says "parameters, options and exports" "hello	7	true
read-only
b'before'" <<'PY'
from common import *
with Disk("1M", lua=["text = param.text", "print(text, param.seed, param['on-off'])"], text="hello",
          seed=7, **{"on-off": True}) as d:
    print(d.messages)
with Disk(1 << 20, options=["-r"]) as d:
    print("read-only" if io(d, "write 0 512") != "ok" else "can be written")
with Disk("1M", lua="disk:write(0, 'before') disk:snapshot 'a/b ?' disk:write(0, 'after!')") as d:
    dump = subprocess.run(["nbdcopy", d.export("a/b ?"), "-"], capture_output=True).stdout
    print(dump[:6])
PY

says "the log has all up to now" "[('mine', {'error': 'EIO'})] True
True False" <<'PY'
from common import *
with Disk("1M") as d:
    with d.fault(op="write", error="EIO", name="mine"):
        io(d, "write 0 512")
        print([(line["rule"], line["did"]) for line in d.log() if "did" in line],
              d.log() == d.log())
print(any("removed" in line for line in d.log()),
      any("python log" in str(line) for line in d.log()))
PY

says "several disks and threads" "40" <<'PY'
from common import *
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as starter:
    disks = [starter.submit(Disk, "1M").result() for i in range(2)]
# The thread that started them is gone.
with disks[0] as a, disks[1] as b, ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda i: [a, b][i % 2].run("return 1"), range(40))))
PY

says "a client that stays, and a server that crashed" "Error nbdkit did not end in 0.1 s
Error nbdkit has ended with 134" <<'PY'
from common import *
import signal, socket
def stays():
    with Disk("1M") as d, socket.socket(socket.AF_UNIX) as s:
        s.connect(d.socket)
        s.recv(1)
        d.stop(0.1)
def crashes():
    with Disk("1M") as d:
        os.kill(d.pid, signal.SIGABRT)
        # Until it is gone.
        try:
            while True: d.run("return 1")
        except Error:
            pass
for f in stays, crashes:
    try:
        f()
    except Error as e:
        print("Error", str(e).split(":")[0])
PY

nothing_left "no process and no file is left"
done_testing
