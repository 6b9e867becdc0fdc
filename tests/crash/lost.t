#!/usr/bin/env bash
# disk:states { choice = ... }: one state by its choice, and the list of what it has lost,
# for which lose-LIST is the same state.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 16K history=1M
rows '
one = lambda choice, field, point="now": control(f"""
    local s = disk:states {{ point = "{point}", choice = "{choice}" }}()
    return tostring(s.{field})""")
fresh()
write(h, "A" * 8)
write(h, "B" * 8, 4)
write(h, "C" * 8, 20)
write(h, "D", 22)
a, b, c, d = map(number, (1, 2, 3, 4))
same("all", one("all", "lost"), "")
same("none", one("none", "lost"), f"{a},{b},{c},{d}")
same("a request", one(f"lose-{c}", "lost"), f"{c}:0-1,{c}:3-7")
same("parts", one(f"lose-{a}:2,{a}:5-7,{b}", "lost"), f"{a}:2,{a}:5-7,{b}")
same("what is beneath another", one(f"lose-{c},{d}", "lost"), f"{c},{d}")
same("only", one(f"only-{b}", "lost"), f"{a}:0-3,{c},{d}")
same("its name", one(f"lose-{c}", "name"), f"crash/now/lose-{c}")
same("what it loses", [one(f"lose-{c}", f) for f in ("requests", "sectors", "pending")], ["1", "7", "4"])
same("in the past", one("none", "lost", f"before-{b}"), f"{a},{b}")
wrong = []
for kind in "sectors", "reqs", "state":
    for n in range(100):
        lost = one(f"{kind}-{n}", "lost")
        if lost and one("lose-" + lost, "digest") != one(f"{kind}-{n}", "digest"):
            wrong.append((kind, n, lost))
same("lose-LIST is the same state", wrong, [])
'
# refused CODE TEXT: the end of what is said.
refused () { like "$("$TOP/memctl" ctl "return disk:states $1" 2>&1)" "$2" "$1"; }
refused '{ choice = 7 }' 'choice: expected the end of a name, such as "lose-37"$'
refused '{ choice = "lost-7" }' 'expected none, all, lose-LIST'
refused '{ choice = "lose-999" }' 'request 999'
stopped
# A request that is atomic is named as a whole, though a later one shows in a part of it.
cached 8K atomic=4096
rows '
one = lambda choice, field: control(f"""
    local s = disk:states {{ point = "now", choice = "{choice}" }}()
    return tostring(s.{field})""")
write(h, "A" * 8)
write(h, "B" * 2, 4)
write(h, "C" * 3, 5)
same("atomic", one("lose-1", "lost"), "1")
wrong = []
for kind in "sectors", "reqs":
    for n in range(50):
        lost = one(f"{kind}-{n}", "lost")
        if lost and one("lose-" + lost, "digest") != one(f"{kind}-{n}", "digest"):
            wrong.append((kind, n, lost))
same("lose-LIST is the same state", wrong, [])
'
stopped
done_testing
