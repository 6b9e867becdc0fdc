#!/usr/bin/env bash
# A snapshot is a copy of the newest content, all of it durable, and a cut does not move
# it.  It can't have the name of a state.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
fresh()
write(h, "A", fua=True)
write(h, "BC")
control("disk:snapshot([[s]])")
s = connect("s")
same("volatile data is in it", disk(s), "BCoooooo")
row("but not made durable", "A 2:B", "o 2:C")
s.pwrite(b"S" * 512, 1024)
s.flush()
s.pwrite(b"T" * 512, 1536, FUA)
row("nor by flushes of the snapshot", "A 2:B", "o 2:C")
control("disk:cut([[none]])")
same("a cut does not move it", disk(s), "BCSToooo")
control("disk:power_on()")
same("what is left", disk(h), "Aooooooo")
same("not then, either", disk(connect("s")), "BCSToooo")
write(h, "D")
row("numbers go on", "A 3:D")
control("disk:revert([[s]])")
row("revert makes all of it durable", "B", "C", "S", "T")

n = control("disk:stats().connections")
for name in "marks", "crash/", "crash/now/none", "crash/x", "crash/now/sectors-7":
    said = control(f"select(2, pcall(disk.snapshot, disk, [[{name}]]))")
    says(f"no snapshot can be called {name}", said if isinstance(said, str) else None, name)
for name in "crash", "mark", "marks/x", "now/none", "xcrash/now":
    same(f"one can be called {name}", control(f"disk:snapshot([[{name}]]).name"), name)
    same("... and is served", disk(connect(name)), "BCSToooo")
for call in "drop", "revert":
    said = control(f"select(2, pcall(disk.{call}, disk, [[crash/now/none]]))")
    same(f"disk:{call} of a state", isinstance(said, str), True)
row("nothing of this was done", "B", "C", "S", "T")
'
stopped

# The names are those of states also where the cache is off, so that a script means the
# same with it and without.
serve size=4K control=ctl
for name in marks crash/now/none crash/x; do
    like "$("$TOP/memctl" ctl "disk:snapshot '$name'" 2>&1)" "$name|crash/" "with the cache off, too: $name"
done
stopped
done_testing
