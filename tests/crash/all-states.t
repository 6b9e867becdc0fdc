#!/usr/bin/env bash
# disk:states lists the states of a moment, each with its name, what it loses, and a digest:
# the same as computed here, from what the export of that name shows.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

export PYTHONPATH=$TOP/tests/crash${PYTHONPATH:+:$PYTHONPATH}
cached 4196 history=1M hook-timeout=1000
rows '
import struct
from model import mix
MASK, G = 2**64 - 1, 0x9E3779B97F4A7C15

def digest(data):
    """By the words of the manual."""
    low = high = 0
    for unit in range(0, len(data), 512):
        words = struct.unpack("<64Q", bytes(data[unit:unit + 512]).ljust(512, b"\0"))
        if not any(words): continue
        a = mix(unit // 512); b = mix(a)
        for i, w in enumerate(words):
            low += mix(w ^ (a + i * G) & MASK)
            high += mix(w ^ (b + i * G) & MASK)
    return f"{high & MASK:016x}{low & MASK:016x}"

def states(query):
    if "point" not in query: query = "point = [[now]], " + query
    return control(f"local t = {{}} for s in disk:states {{ {query} }} do t[#t + 1] = s end return t")

def right(name, query, names):
    """Are these the states, and is what is said of them true?"""
    got = states(query)
    same(name, [s["name"] for s in got], names)
    wrong = []
    for s in got:
        c = connect(s["name"])
        if digest(c.pread(c.get_size(), 0)) != s["digest"]: wrong.append(s["name"])
        leave(c)
    same(name + ": digests", wrong, [])
    return got

write(h, "Abc"); write(h, b"x" * 100, offset=4096); flush(h)
write(h, "BC", 1); zero(h, 1, 3); write(h, "D", 2); write(h, b"y" * 50, offset=4100)
all = ["none"] + ["only-" + ",".join(str(3 + k) for k in range(4) if i >> k & 1) for i in range(1, 15)] + ["all"]
got = right("all sets of requests", "", ["crash/now/" + c for c in all])
same("what they lose", [(s["requests"], s["sectors"], s["legal"]) for s in got][:2] + [got[-1]["sectors"]],
     [(4, 4, True), (3, 3, True), 0])
same("how many are pending", {s["pending"] for s in got}, {4})
same("of one image they are the same", len({s["digest"] for s in got}) < len(got), True)
right("all sectors", "units = [[sectors]]", [f"crash/now/state-{i}" for i in range(2 * 3 * 2 * 2)])
right("one request", "how = [[lose-one]]", [f"crash/now/lose-{n}" for n in range(3, 7)])
right("one sector", "how = [[only-one]], units = [[sectors]]",
      ["crash/now/only-" + x for x in ("3:0", "3:1", "4:0", "5:0", "6:0")])
right("up to one", "how = [[prefix]]", [f"crash/now/prefix-{n}" for n in range(3, 7)])
right("at random", "how = [[random]], seed = 7, count = 3", [f"crash/now/reqs-{s}" for s in (7, 8, 9)])
right("sectors at random", "how = [[random]], units = [[sectors]], seed = 7, first = 2, count = 2",
      [f"crash/now/sectors-{s}" for s in (9, 10)])
right("a part", "first = 3, count = 2", ["crash/now/" + c for c in all[3:5]])
write(h, "E"); flush(h)
right("the past", "point = [[before-flush-2]]", ["crash/before-flush-2/" + c for c in
      ["none"] + ["only-" + ",".join(str(3 + k) for k in range(5) if i >> k & 1) for i in range(1, 31)] + ["all"]])
right("a number", "point = 1", ["crash/1/none", "crash/1/all"])
right("nothing is volatile", "", ["crash/now/none"])
control("disk:write(0, [[medium]])")
right("the medium has changed", "point = [[end]], how = [[random]], count = 1", ["crash/end/reqs-0"])
write(h, "F"); control("disk:cut() disk:snapshot [[s]] disk:power_on()")
right("after a cut", "", ["crash/now/none"])
zero(h, 8); control("disk:revert [[s]]")
right("reverted", "how = [[prefix]]", [])
right("reverted, once more", "", ["crash/now/none"])

# Without a point: at all that suffice.
control("disk:mark [[a/b]] disk:mark [[a/b]]"); write(h, "G", fua=True)
right("all points", "point = nil, how = [[random]], count = 1", [f"crash/{p}/reqs-0" for p in (
      "before-flush-1", "before-flush-2", "before-change-1", "cut-1", "before-change-2", "mark-a%2Fb", "mark-a%2Fb#2",
      "before-10", "end")])
times = [s["time"] for s in states("point = nil, how = [[random]], count = 1")]
marks = [e["time"] for e in control("local t = {} for e in disk:history() do t[#t + 1] = e end return t") if e["kind"] == "mark"]
same("in order of time", (times == sorted(times), times[5:7]), (True, marks))
names = [s["name"] for s in states("point = nil, how = [[prefix]], first = 1")]
same("first and count are of each point", [names[0], names[1], names[-1]],
     ["crash/before-flush-1/prefix-2", "crash/before-flush-2/prefix-4", "crash/before-flush-2/prefix-7"])

# Many, in slices.  A hook is not charged for the time that they take.
for n in range(70): write(h, "z", n % 8)
same("many names keep no memory", control("""
    local n, before = 0
    for s in disk:states { point = "now", how = "random", count = 20000 } do
      n = n + 1
      if n == 2000 then collectgarbage() before = collectgarbage "count" end
    end
    collectgarbage()
    return { n, collectgarbage "count" - before < 100 }"""), [20000, True])

said = lambda query: control(f"select(2, pcall(disk.states, disk, {query}))")
says("too many", said("{ point = [[now]] }"), "there are 2.70 sets of requests: ask for how = .random")
for n in range(2100): write(h, "z", n % 8)
says("too many sectors", said("{ point = [[now]], units = [[sectors]] }"), "numbers only if they are fewer")
says("a point", said("{ point = [[flush-9]] }"), "flush-9: 2 flushes are recorded")
says("a word", said("{ how = [[some]] }"), "how: expected .all., .lose-one.")
says("a field", said("{ pont = 1 }"), "did you mean .point")
says("a number", said("{ first = -1 }"), "first: expected a whole number")
'
stopped

# Initial content is made when it is asked for.
cached 4K lua='function on.fill(offset, count) return ("F"):rep(count) end'
rows '
says("initial content", control("select(2, pcall(disk.states, disk, {}))"), "initial content of on.fill.*write all of it")
write(h, "ABCDEFGH"); flush(h)
same("all of it is there", control("disk:states {}().name"), "crash/now/none")
same("without a table, too", control("disk:states()().name"), "crash/now/none")
says("but not with nil", control("select(2, pcall(disk.states, disk, nil))"), "table expected, got nil")
'
stopped
serve size=1M control=ctl
rows 'says("no cache", control("select(2, pcall(disk.states, disk, {}))"), "write-cache=volatile")'
stopped
done_testing
