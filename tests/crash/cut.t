#!/usr/bin/env bash
# disk:cut cuts the power: the live disk fails every request until disk:power_on, then
# holds what survived.  What was under way is never applied, and never succeeds.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()
cut = lambda choice="none": control(f"disk:cut(\"{choice}\")")
on = lambda: control("disk:power_on()")
# Reads see, and after a flush is durable: nothing is pending after a cut.
def survived(name, expected):
    on()
    same(name, disk(h), expected)
    row("... all of it durable", *expected)

for choice, expected in (("none", "oooooooo"), ("all", "ABooooCo"), ("state-2", "oBoooooo")):
    fresh()
    write(h, "AB")
    write(other, "C", 6)
    cut(choice)
    survived("cut, " + choice, expected)
fresh()
write(h, "AB")
write(other, "C", 6)
cut(f"lose-{number(1)}")
survived("lose-LIST", "ooooooCo")
fresh()
write(h, "ABCDEFGH")
expected = image("sectors-7")
cut("sectors-7")
survived("the same name, the same image", expected)

# Without power.
fresh()
write(h, "A")
cut("all")
down = {"read": lambda c: c.pread(512, 0), "write": lambda c: c.pwrite(b"x" * 512, 0),
        "flush": lambda c: c.flush(), "trim": lambda c: c.trim(512, 0),
        "zero": lambda c: c.zero(512, 0), "cache": lambda c: c.cache(512, 0),
        "block status": lambda c: extents(c, 4096)}
for name, call in down.items():
    same(f"without power: {name}", outcome(call, other), "ESHUTDOWN")
c = connect()
same("connections may be made", outcome(c.pread, 512, 0), "ESHUTDOWN")
s = state("none")
same("states go on", disk(s), "Aooooooo")
same("... writable", [outcome(s.pwrite, b"R" * 512, 512), disk(s)], ["ok", "ARoooooo"])
same("Lua goes on", control("disk:read(0, 1)"), "A")
control("disk:snapshot([[dark]])")
same("snapshots, too", disk(connect("dark")), "Aooooooo")
on()
same("power is back, for old connections", disk(other), "Aooooooo")
same("and for those made meanwhile", disk(c), "Aooooooo")
leave(s)

# What was under way.
fresh()
write(h, "A", fua=True)
w = Held("before", h, "write", "B")
numbered(-1)
cut()
on()
write(other, "C", 1)
same("a W that waits during the cut", w.go(), "ESHUTDOWN")
row("was never applied", "A", "o 2:C")

fresh()
w = Held("after", h, "write", "B")
cut("all")
same("a W that was applied before the cut", w.go(), "ESHUTDOWN")
on()
row("survived, as the cut wanted", "B")

fresh()
w = Held("after", h, "write", "B", fua=True)
cut("none")
on()
same("a FUA that was applied before the cut", w.go(), "ESHUTDOWN")
row("is lost, as the cut wanted")

fresh()
write(h, "A")
f = Held("before", h, "flush")
cut("none")
on()
write(other, "C")
same("a flush that came before the cut", f.go(), "ESHUTDOWN")
row("makes nothing durable after it", "o 2:C")

fresh()
r = Held("before", h, "zero", 1)
numbered(-1)
cut()
same("a ZERO goes on without power", r.go(), "ESHUTDOWN")
on()
row("and is not applied")

control("""fault { op = "write", name = "stuck", hang = true }""")
fresh()
cookie = send(h, "write", "B")
numbered(-1)
until(lambda: (h.poll(0), control("fault.get([[stuck]]).hanging") == 1)[1])
cut()
on()
control("fault.get([[stuck]]):remove()")
same("a W that a rule holds during the cut", finish(h, [cookie])[0], "ESHUTDOWN")
row("was never applied, either")

# Cuts one after the other.
fresh()
write(h, "AB")
cut(f"only-{number(1)}:0")
on()
write(h, "C", 2)
row("W, cut, power on, W2", "A", "o", "o 2:C")
cut("all")
on()
same("the second cut never shows what the first one lost", disk(h), "AoCooooo")

# Mistakes.
said = lambda chunk: control(f"select(2, pcall(function() {chunk} end))")
fresh()
same("cut twice", said("disk:cut([[none]]) disk:cut([[none]])") is None, False)
on()
same("power on while it is", said("disk:power_on()") is None, False)
says("a CHOICE without quotes", said("disk:cut(none)"), "in quotes.*, got nil")
same("a CHOICE that is none", said("disk:cut([[some]])") is None, False)
same("a request that is not pending", said(f"disk:cut([[lose-{number(99)}]])") is None, False)
same("a state that there is not", said("disk:cut([[state-1]])") is None, False)
same("none of this cut the power", disk(h), "oooooooo")
'
stopped

# Without a CHOICE it is "none".
cached 4K
rows '
fresh()
write(h, "A")
control("disk:cut() disk:power_on()")
row("no CHOICE")
'
stopped

# Readers see one outcome.
cached 4K
rows '
fresh()
write(h, "ABCDEFGH")
control("disk:cut([[sectors-3]]) disk:power_on()")
first = disk(h)
same("a cut is resolved once", {disk(c) for c in (h, connect(), h)}, {first})
same("in Lua, too", show(control("disk:read(0, 4096)").encode()), first)
'
stopped
done_testing
