#!/usr/bin/env bash
# With history=, a power cut at any past moment is an export: what it shows is what it
# would have shown then.  (That all of them are right, tests/crash/model.t sees.)
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K history=1M
rows '
mark = lambda text: control(f"disk:mark [[{text}]]")
then = lambda point, *choices: [image(choice, point) for choice in choices or ("none", "all")]

write(h, "A"); flush(h); write(h, "B")
same("W(A), flush, W(B): the past does not see the future", then("flush-1"), ["A0000000"] * 2)
same("before the flush returns", then("before-flush-1"), ["00000000", "A0000000"])
same("after each request", [then("1"), then("2")], [["00000000", "A0000000"], ["A0000000", "B0000000"]])
same("before it completes", then("before-2"), ["A0000000", "B0000000"])
same("before the first one is applied", then("0"), ["00000000"] * 2)
same("now", then("now"), then("end"))
says("lists are of what was pending then", refusal("lose-1", lambda c: state(c, "2")), "2 is")
same("one that was", then("1", "lose-1", "only-1"), ["00000000", "A0000000"])
same("its number", then("1", "state-1"), ["A0000000"])

# Marks.
mark("ack 1"); write(h, "C", 1); mark("ack 1"); mark("50%/#\u00e4")
same("a mark", then("mark-ack%201"), ["A0000000", "B0000000"])
same("the second of its text", then("mark-ack%201#2"), ["A0000000", "BC000000"])
same("a text with what names can not have", then("mark-50%25%2f%23\u00e4"), ["A0000000", "BC000000"])

# A cut, and after it.
control("disk:cut [[only-3]]")
same("just before the cut", then("cut-1"), ["A0000000", "BC000000"])
same("after it all is durable", then("end"), ["AC000000"] * 2)
control("disk:power_on()")
write(h, "D", 2)
same("numbers go on", then("4"), ["AC000000", "ACD00000"])
same("as does what was before", then("3"), ["A0000000", "BC000000"])

# The medium, and snapshots.
control("disk:snapshot [[s]]")
control("disk:write(3 * 512, ([[M]]):rep(512))")
write(h, "E", 4)
same("what the medium got is durable", then("5"), ["AC0M0000", "ACDME000"])
control("disk:revert [[s]]")
same("reverted", then("end"), ["ACD00000"] * 2)
same("and before", then("5"), ["AC0M0000", "ACDME000"])

# A state has a history of its own.
s = state("none+cache", "5")
write(s, "R"); s.flush(); write(s, "S")
same("of a state", [image(c, "5/none+cache/crash/" + p) for p in ("1", "flush-1", "2") for c in ("none", "all")],
     ["AC0M0000", "RC0M0000", "RC0M0000", "RC0M0000", "RC0M0000", "SC0M0000"])
leave(s)

d = state("none", "before-2")
same("it may be written to", (d.pwrite(b"x" * 512, 512), disk(d)), (None, "Ax000000"))
leave(d)

# The export of marks.
m = connect("marks")
same("its size", m.get_size(), 1 << 20)
m.pwrite(b"by write\nmore", 4096)
m.pwrite(b"\0" * 512, 0); m.pwrite(b"\n", 0); m.zero(512, 0)
m.pwrite(b"zero\0more", 7); m.pwrite(b"x" * 256, 0); m.flush()
same("it shows zeroes", m.pread(1 << 20, 0), bytes(1 << 20))
same("a long one", outcome(m.pwrite, b"y" * 257, 0), "EINVAL")
write(h, "Z", 7)
same("a mark by a write", then("mark-by write"), ["ACD00000"] * 2)
same("more", then("mark-zero") + then("mark-" + "x" * 256), ["ACD00000"] * 4)
says("not what follows", refusal("none", lambda c: state(c, "mark-more")), "no mark of this text")
same("a write there has no number", then("6"), ["ACD00000", "ACD0000Z"])
leave(m)

# All of it.
events = control("local t = {} for e in disk:history() do t[#t + 1] = e end return t")
same("events are in order", [e["time"] for e in events], sorted({e["time"] for e in events}))
same("what happened", [e["kind"] + " " + str(e.get("text", e["number"])) for e in events],
     ["request 1", "flush 1", "request 2", "mark ack 1", "request 3", "mark ack 1", "mark 50%/#\u00e4", "cut 1", "request 4",
      "change 1", "request 5", "change 2", "mark by write", "mark zero", "mark " + "x" * 256, "request 6"])
same("a request", {k: events[4][k] for k in ("op", "offset", "count", "conn")},
     {"op": "write", "offset": 512, "count": 512, "conn": 1})
same("it has completed", events[4]["time"] < events[4]["completed"] < events[5]["time"], True)
same("a flush", events[1]["entered"] < events[1]["time"], True)

# It is no snapshot, while it is open.
m = connect("marks")
for chunk in "disk:revert [[marks]]", "disk:drop [[marks]]":
    says(chunk, control(f"select(2, pcall(function() {chunk} end))"), "no snapshot .marks")
same("the disk is as it was", disk(h), "ACD0000Z")
leave(m)

# Changes that are no requests.
same("before the medium was written", then("before-change-1"), ["AC000000", "ACD00000"])
same("before the disk was reverted", then("before-change-2"), ["AC0M0000", "ACDME000"])
Held("after", h, "write", "Y").go()
control("fault { name = [[f]], op = [[flush]], error = [[EIO]], lose = true }")
same("a flush fails", flush(h), "EIO")
control("fault.get [[f]]:remove()")
same("before it lost what it covered", then("before-change-3"), ["ACD00000", "YCD0000Z"])
same("and after", then("end"), ["ACD00000"] * 2)

# What there is not.
for point, why in {
        "8": "7 requests are recorded; the moment before the power cut is cut-1$", "before-99": "7 requests are recorded; ",
        "before-0": "before-0: numbers count from 1$", "before-change-4": "3 changes of another kind are recorded$",
        "before-change-0": "count from 1$", "flush-2": "1 flush is recorded; the moment before the power cut is cut-1$",
        "flush-0": "count from 1$", "before-flush-0": "count from 1$", "cut-2": "1 cut is recorded$", "cut-0": "count from 1$", "mark-x": "no mark of this text.*last",
        "mark-ack%201#3": "2 marks of this text", "mark-%2": "no point: expected now, N", "then": "no point",
        "1x": "no point", "01": "no point", "mark-a#x": "no point"}.items():
    says(f"no {point}", refusal("none", lambda c: state(c, point)), why)
said = lambda chunk: control(f"select(2, pcall(function() {chunk} end))")
says("an empty mark", said("disk:mark [[]]"), "1 to 256 bytes")
says("a long one", said("disk:mark(([[x]]):rep(257))"), "1 to 256 bytes")
says("no text", said("disk:mark()"), "string expected")
'
stopped
cached 4K history=1M
like "$(nbdinfo --list "$uri" | grep export=)" 'export="marks"' "marks are listed"
stopped

# Full: requests go on, and what was recorded stays as it was.
cached 4K history=2K
rows '
then = lambda point, *choices: [image(choice, point) for choice in choices or ("none", "all")]
write(h, "ABC"); flush(h); write(h, "D")
write(h, "EF", 1); flush(h); zero(h, 2, 0)
same("requests go on", disk(h), "00F00000")
same("the last one that is recorded", then("2"), ["ABC00000", "DBC00000"])
same("the end", then("end"), ["ABC00000", "DBC00000"])
same("now", then("now"), ["DEF00000", "00F00000"])
for point in "3", "flush-2":
    says(f"{point} is not recorded", refusal("none", lambda c: state(c, point)), "history= was full")
'
like "$(cat log)" "history=2048 is full: the recording has ended before request 3; requests go on" "it is said"
is "$(grep -c 'is full' log)" 1 "once"
stopped

# The first request is more than there is room for.
cached 4K history=512
rows '
then = lambda point: [image(choice, point) for choice in ("none", "all")]
write(h, "AB"); write(h, "C")
same("requests go on", disk(h), "CB000000")
same("nothing is recorded", then("end") + then("0"), ["00000000"] * 4)
says("not the first", refusal("none", lambda c: state(c, "1")), "0 requests are recorded; then history= was full")
says("no mark", control("disk:mark [[m]]") or refusal("none", lambda c: state(c, "mark-m")), "0 marks are recorded; then")
'
like "$(cat log)" "history=512 is full: the recording has ended before request 1;" "it is said"
stopped

# What is no request ends it, too, where there is too much of that.
for what in "disk:mark [[a mark]]" "h.flush()" "h.pread(1, 0)"; do
    cached 4K history=1K lua='fault { op = "read", corrupt = 1 }'
    rows "
write(h, 'A')
$(if [[ $what == disk* ]]; then echo "control('for i = 1, 40000 do $what end')"
  else echo "for i in range(20000): $what"; fi)
write(h, 'B')
same('requests go on', disk(h)[0], 'B')
says('$what: full', refusal('none', lambda c: state(c, '2')), '1 request is recorded; then history= was full')
same('the end', image('all', 'end'), 'A0000000')
"
    is "$(grep -c 'is full: the recording has ended before request 2;' log)" 1 "$what: it is said once"
    stopped
done

# What is in flight when the recording ends has not completed in it.
cached 4K history=1K
rows '
w = Held("after", h, "write", "A", fua=True)
c = connect()
write(c, "B", 1); write(c, "C", 2)
same("a FUA write completes", w.go(), "ok")
same("at the end it has not", [image(choice, "end") for choice in ("none", "all")], ["00000000", "AB000000"])
says("so it is no point", refusal("none", lambda c: state(c, "1")), "has not completed; then history= was full")
same("the next one has", image("none", "2"), "00000000")
leave(c)
'
stopped

# What faults did, and what a rule and a hook told.
cached 4K history=1M
rows '
control("fault { name = [[lie]], op = [[flush]], lose = true } fault { name = [[bits]], op = [[write]], offset = [[1536]], corrupt = 1 }")
write(h, "A"); flush(h)
control("fault.get([[lie]]):remove()")
says("a lie", words("none", "flush-1"), "a lie")
says("what was kept is none", words("all", "flush-1"), "legal")
says("nor is it before", words("none", "before-flush-1"), "legal")
write(h, "B", fua=True); failing(h, "write", "C", 1)
write(h, "D", 3)
says("a fault altered one", words("all", "4"), "faults had altered 1 of the acknowledged writes")
same("and not before", "altered" in words("all", "before-4"), False)
events = control("local t = {} for e in disk:history() do t[#t + 1] = e end return t")
faults = [e for e in events if e["kind"] == "fault"]
same("rules that fired", [(e["rule"], e["op"], e["offset"], e["count"], e["number"]) for e in faults],
     [("lie", "flush", 0, 0, 1), ("bits", "write", 1536, 512, 2)])
events = [e for e in events if e["kind"] != "fault"]
same("in order", events[0]["time"] <= faults[0]["time"] < events[1]["time"], True)
same("of a flush", events[1]["lie"], True)
same("of writes", [[k for k in ("fua", "failed", "altered") if e.get(k)] for e in events if e["kind"] == "request"],
     [[], ["fua"], ["failed"], ["altered"]])
m = connect("marks")
control("disk:cut()")
same("while the power is off", [outcome(m.pwrite, b"off", 0), image("all", "mark-off"), image("all", "cut-1")],
     ["ok", image("none"), image("all", "4")])
leave(m)
'
stopped

# Initial content is not known, so to replace it can not be undone.
cached 4K history=1M lua='function on.fill(offset, count) return ("F"):rep(count) end' 
rows '
control("disk:snapshot [[s]]")
says("revert", control("select(2, pcall(disk.revert, disk, [[s]]))"), "not supported")
same("as it was", disk(h), "FFFFFFFF")
'
stopped

# Without a history there is no past.
cached 4K
rows '
says("no history", refusal("none", lambda c: state(c, "1")), "history=1G")
says("no marks", refusal("marks"), "history=1G")
says("no events", control("select(2, pcall(disk.history, disk))"), "history=1G")
says("no mark", control("select(2, pcall(disk.mark, disk, [[a]]))"), "history=1G")
'
stopped
done_testing
