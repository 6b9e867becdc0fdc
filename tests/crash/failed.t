#!/usr/bin/env bash
# A write that fails has reached its sectors or not, and is complete.  A flush that fails
# changes nothing, and one that fails and loses drops what it should have covered.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()
rule = lambda spec: control(f"fault {{ {spec} }}")
clear = lambda: control("fault.clear()")

for fua in False, True:
    fresh()
    same(f"a W that a hook fails, FUA {fua}", failing(h, "write", "A", fua=fua), "EIO")
    row("it may be there", "o 1:A")
    flush(h)
    row("after a flush it is", "A")

for op in "zero", "trim":
    fresh()
    failing(h, op, 1)
    row(f"a {op} that a hook fails", "o 1:0")

fresh()
rule("""op = "write", error = "EIO" """)
same("a W that a rule fails", write(h, "A"), "EIO")
clear()
numbered(-1)
write(h, "B", 1)
row("was never applied, and has no number", "o", "o 1:B")

fresh()
rule("""op = "write", error = "EIO", keep = 1024 """)
same("a torn W", write(h, "ABCD"), "EIO")
clear()
row("has versions where it was applied", "o 1:A", "o 1:B")
flush(h)
row("which a flush covers", "A", "B")

fresh()
rule("""op = "write", keep = { { 0, 512 }, { 1024, 512 } } """)
same("a W of which two parts are kept", write(h, "ABCD", fua=True), "ok")
clear()
write(h, "E", 3)
row("has one number", "A", "o", "C", "o 2:E")

fresh()
write(h, "A")
same("a flush that a hook fails", failing(h, "flush"), "EIO")
row("W, failed flush", "o 1:A")
flush(h)
row("then one that succeeds", "A")

fresh()
rule("""op = "flush", error = "EIO" """)
write(h, "A")
same("a flush that a rule fails", flush(h), "EIO")
clear()
row("W, failed flush by a rule", "o 1:A")
flush(h)
row("then one that succeeds, again", "A")

fresh()
lose = lambda: rule("""op = "flush", error = "EIO", lose = true, times = 1""")
write(h, "A")
write(h, "B", 1)
write(h, "C", 1)
lose()
same("a flush that fails and loses", flush(other), "EIO")
same("reads show what is left", disk(h), "oooooooo")
row("W, failed flush with lose")
same("the next flush", flush(h), "ok")
row("brings nothing back")
clear()

fresh()
write(h, "A")
w = Held("after", h, "write", "B")
z = Held("after", h, "write", "C", 1, fua=True)
lose()
same("a flush that loses while requests are in flight", flush(other), "EIO")
row("leaves theirs", "o 2:B", "o 3:C")
same("and reads show them", disk(other), "BCoooooo")
same("the FUA write", z.go(), "ok")
row("succeeds, and is durable", "o 2:B", "C")
w.go()
flush(h)
row("the other one can be flushed", "B", "C")
clear()

fresh()
write(h, "A")
w = Held("after", h, "write", "B")
write(other, "C")
lose()
flush(other)
row("what is lost above one in flight shows that", "o 2:B")
same("to readers, too", disk(other), "Booooooo")
w.go()
clear()

fresh()
write(h, "A")
f = Held("before", h, "flush")
g = Held("after", connect(), "flush")
write(h, "B", 1)
lose()
same("a flush that loses while others are under way", flush(other), "EIO")
same("fails those", [f.go() == "ok", g.go() == "ok"], [False, False])
row("and all is lost")
clear()

fresh()
write(h, "A")
f = Held("before", h, "flush")
write(other, "B")
f.go()
row("but an earlier one has succeeded", "A 2:B")
lose()
flush(other)
row("what it made durable stays", "A")
clear()

# Performed twice, or not at all.
control("""function on.write(req)
  if req.count == 512 then req:run() req:run() elseif req.count == 1024 then req:skip() end
end""")
fresh()
write(h, "A")
numbered(1)
row("a W applied twice has two numbers", "o 1:A 2:A")
flush(h)
row("which complete with it", "A")
fresh()
write(h, "AA")
numbered(-1)
write(h, "BBB", 5)
row("a W that is skipped has none", "o", "o", "o", "o", "o", "o 1:B", "o 1:B", "o 1:B")
'
stopped
done_testing
