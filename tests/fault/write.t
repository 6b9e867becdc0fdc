#!/usr/bin/env bash
# Torn, lost, misdirected and corrupted requests change exactly the bytes that
# they should: random rules and requests against a model of the disk.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
random_work 3000 300

# The rules are for connection 1; connection 2 reads the disk without them.
cat >oracle.py <<'PY'
from clients import *
import random
SIZE = 60001
rnd = random.Random(int(os.environ["SEED"]))
eye = connect()
disk = bytearray(eye.pread(SIZE, 0))
KEEPS, MOVES, BITS = ("write", "zero", "trim"), ("read", "write", "zero", "trim"), ("read", "write")
def distance(a, b): return bin(int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).count("1")
def number(most): return rnd.choice([0, 1, rnd.randrange(most), rnd.randrange(1, 600)])
def region():
    start = rnd.randrange(SIZE)
    return start, rnd.randint(1, min(SIZE - start, rnd.choice([1, 100, 5000, SIZE])))
def rule():
    """Some rule with one or two actions, and the operations it is for."""
    r, ops = {}, {"read", "write", "zero", "trim"}
    for action in rnd.sample(["keep", "keep", "lose", "misdirect", "corrupt", "error"], 2)[:rnd.randint(1, 2)]:
        if action == "keep":
            r["keep"] = rnd.choice([number(5000), "half"]) if rnd.random() < 0.5 else [(number(5000), number(5000)) for i in range(rnd.randrange(4))]
            ops &= set(KEEPS)
        if action == "lose": r["lose"] = True
        if action == "misdirect": r["misdirect"] = rnd.choice([-1, 1]) * rnd.choice([1, 512, rnd.randint(1, SIZE), rnd.randint(1, 1 << 62), 1 << 63])
        if action == "corrupt":
            r["corrupt"] = rnd.choice([1, 2, 7, 100, 5000, 1 << 40])
            ops &= set(BITS)
        if action == "error": r["error"] = rnd.choice(["EIO", "ENOSPC"])
    if r.get("misdirect") == 1 << 63: r["misdirect"] = -1 << 63
    bad = [{"error", "lose"}, {"error", "misdirect"}, {"error", "corrupt"}, {"lose", "keep"}, {"lose", "misdirect"}, {"lose", "corrupt"}]
    if not ops or any(b <= set(r) for b in bad): return rule()
    r["op"] = rnd.sample(sorted(ops), rnd.randint(1, len(ops)))
    if rnd.random() < 0.3: r["offset"], r["count"] = region()
    return r
def lua(v):
    if isinstance(v, (list, tuple)): return "{%s}" % ",".join(map(lua, v))
    return "math.mininteger" if v == -1 << 63 else json.dumps(v)
def declare(rules):
    control("fault.clear() " + " ".join("fault { conn = 1, %s }" % ",".join("%s=%s" % (k, lua(v)) for k, v in r.items()) for r in rules))
def half(offset, count): return max(0, (offset + count // 2) // 512 * 512 - offset)
def parts(r, offset, count):
    keep = r["keep"] if isinstance(r["keep"], list) else [(0, half(offset, count) if r["keep"] == "half" else r["keep"])]
    return [(o, min(o + n, count)) for o, n in keep if o < count]

def request(op, offset, count, rules):
    """Send it, and say what is wrong with what came of it."""
    global disk
    rules = [r for r in rules if op in r["op"] and ("offset" not in r or (r["offset"] < offset + count and offset < r["offset"] + r["count"]))]
    data = rnd.randbytes(count) if op == "write" else bytes(count)
    answer, o = None, "ok"
    try:
        if op == "read": answer = h.pread(count, offset)
        elif op == "write": h.pwrite(data, offset)
        else: getattr(h, op)(count, offset)
    except nbd.Error as e: o = e.errno
    after = bytearray(eye.pread(SIZE, 0))
    want, where, kept = bytearray(disk), offset, [(0, count)]
    fails = [r for r in rules if "error" in r]
    lose = any("lose" in r for r in rules)
    bits = [min(r["corrupt"], count * 8) for r in rules if "corrupt" in r]
    if fails:
        if o != fails[0]["error"]: return "outcome %s" % o
        kept, bits = parts(fails[0], offset, count) if "keep" in fails[0] else [], []
    elif o != "ok": return "outcome %s" % o
    elif lose: kept = []
    else:
        for r in rules: where = (where + r.get("misdirect", 0)) % (SIZE - count + 1)
        kept = next((parts(r, offset, count) for r in rules if "keep" in r), kept)
    if op != "read":
        for a, b in kept: want[where + a:where + b] = data[a:b]
    got, model = (answer, (bytes(count) if lose else disk[where:where + count])) if op == "read" else (after, want)
    d = 0 if op == "read" and fails else distance(got, model)
    if op == "read" and after != disk: return "the disk has changed"
    most = sum(bits)
    if not bits or (lose and op != "read"): exact = d == 0
    elif len(bits) == 1 and (op == "read" or kept == [(0, count)]): exact = d == most
    else:
        inside = bytearray(after)
        for a, b in kept: inside[where + a:where + b] = want[where + a:where + b]
        exact = d <= most and (op == "read" or inside == want) and (op == "write" and kept != [(0, count)] or d % 2 == most % 2)
    disk = after
    if not exact: return "%d bits differ, of %s" % (d, bits)

wrong = 0
for i in range(int(os.environ["WORK"])):
    if i % 10 == 0:
        rules = [rule() for n in range(rnd.choice([1, 1, 2, 3]))]
        declare(rules)
    offset, count = region()
    op = rnd.choice(MOVES)
    error = request(op, offset, count, rules)
    if error:
        wrong += 1
        print(i, op, offset, count, rules, error)
        if wrong > 3: break
print("wrong", wrong)
PY
serve size=60001 seed="$SEED" control="$scratch/ctl" lua='disk:random(0, 60001)'
is "$(python "$(cat oracle.py)")" "wrong 0" "random requests under random rules change what they should"
stopped

# Named cases: small, at the borders, on a pattern.
cat >cases.py <<'PY'
from clients import *
eye = connect()
def reset():
    control("fault.clear()")
    eye.pwrite(b"0123456789", 0)
def case(rule, op, *args):
    reset()
    control("fault { conn = 1, %s }" % rule)
    try: o = getattr(h, op)(*args)
    except nbd.Error as e: o = e.errno
    print(rule, "->", "" if o is None else bytes(o).decode().replace("\0", ".") if isinstance(o, bytearray) else o, eye.pread(10, 0).decode().replace("\0", "."))
for keep in "0", "{}", "3", '"4"', "99", "{{0,1},{3,1}}", "{{3,1},{0,1}}", "{{2,9}}", "{{4,1}}", "{{0,0},{1,1}}", "{{0,3},{1,3}}":
    case('op="write", keep=' + keep, "pwrite", b"abcd", 2)
case('op="zero", keep=1', "zero", 4, 2)
case('op="trim", keep={{3,1}}', "trim", 4, 2)
case('op="write", keep=2, error="EIO"', "pwrite", b"abcd", 2)
case('op="write", keep=2, disconnect=false, lose=false, hang=false', "pwrite", b"abcd", 2)
for by in "2", "-2", '"-2"', "-3", "7", "6", "8", '"1E"', "math.mininteger", "math.maxinteger":
    case('op="write", misdirect=' + by, "pwrite", b"abcd", 2)
case('op={"read"}, misdirect=5', "pread", 3, 1)
case('op="zero", misdirect=4', "zero", 2, 1)
case('op="trim", misdirect=-1', "trim", 2, 1)
case('op="write", misdirect=4, keep=2', "pwrite", b"abcd", 0)
case('op="write", misdirect=4', "pwrite", b"abcdefghij", 0)
for op, args in ("pwrite", (b"ab", 0)), ("zero", (2, 0)), ("trim", (2, 0)), ("pread", (2, 0)), ("flush", ()), ("cache", (2, 0)):
    case('op="any", lose=true', op, *args)
case('op="write", fua=true, lose=true', "pwrite", b"ab", 0, nbd.CMD_FLAG_FUA)
reset()
print(extents(eye, 10)); control('fault { op="extents", lose=true }'); print(extents(eye, 10)); eye.trim(10, 0); print(extents(eye, 10)); control("fault.clear()"); print(extents(eye, 10))
PY
serve size=10 control="$scratch/ctl"
python "$(cat cases.py)" >cases
is "$(cat cases)" 'op="write", keep=0 ->  0123456789
op="write", keep={} ->  0123456789
op="write", keep=3 ->  01abc56789
op="write", keep="4" ->  01abcd6789
op="write", keep=99 ->  01abcd6789
op="write", keep={{0,1},{3,1}} ->  01a34d6789
op="write", keep={{3,1},{0,1}} ->  01a34d6789
op="write", keep={{2,9}} ->  0123cd6789
op="write", keep={{4,1}} ->  0123456789
op="write", keep={{0,0},{1,1}} ->  012b456789
op="write", keep={{0,3},{1,3}} ->  01abcd6789
op="zero", keep=1 ->  01.3456789
op="trim", keep={{3,1}} ->  01234.6789
op="write", keep=2, error="EIO" -> EIO 01ab456789
op="write", keep=2, disconnect=false, lose=false, hang=false ->  01ab456789
op="write", misdirect=2 ->  0123abcd89
op="write", misdirect=-2 ->  abcd456789
op="write", misdirect="-2" ->  abcd456789
op="write", misdirect=-3 ->  012345abcd
op="write", misdirect=7 ->  01abcd6789
op="write", misdirect=6 ->  0abcd56789
op="write", misdirect=8 ->  012abcd789
op="write", misdirect="1E" ->  012abcd789
op="write", misdirect=math.mininteger ->  0abcd56789
op="write", misdirect=math.maxinteger ->  01abcd6789
op={"read"}, misdirect=5 -> 678 0123456789
op="zero", misdirect=4 ->  01234..789
op="trim", misdirect=-1 ->  ..23456789
op="write", misdirect=4, keep=2 ->  0123ab6789
op="write", misdirect=4 ->  abcdefghij
op="any", lose=true ->  0123456789
op="any", lose=true ->  0123456789
op="any", lose=true ->  0123456789
op="any", lose=true -> .. 0123456789
op="any", lose=true ->  0123456789
op="any", lose=true ->  0123456789
op="write", fua=true, lose=true ->  0123456789
[(10, 0)]
[(10, 0)]
[(10, 0)]
[(10, 3)]' "small cases"
stopped
done_testing
