#!/usr/bin/env bash
# With +cache a state is a disk with a volatile cache of its own, so that power can be cut
# again during recovery; what that leaves is a state of the state, to any depth.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
fresh()
write(h, "ABCD")
outer = "none+cache"
inner = lambda choice: image(f"{outer}/crash/now/{choice}")
says("the outer name must be open", refused(f"{outer}/crash/now/none"), "open")
c, d = state(outer), state(outer)
same("the state", disk(c), "oooooooo")
c.pwrite(b"R" * 512, 512)
d.pwrite(b"S" * 1024, 512)
same("recovery writes to it, on two connections", [disk(c), disk(d)], ["oSSooooo"] * 2)
same("cut again: none", inner("none"), "oooooooo")
same("all", inner("all"), "oSSooooo")
same("its requests have numbers of their own, from 1", inner("lose-2"), "oRoooooo")
same("all of its states", [inner(f"state-{i}") for i in range(6)],
     ["oooooooo", "oRoooooo", "oSoooooo", "ooSooooo", "oRSooooo", "oSSooooo"])
says("and no other", refused(f"{outer}/crash/now/state-6"), r"\b6\b")
same("draws are as those of any disk", [inner(f"sectors-{s}") for s in range(8)],
     ["".join(x[draw(s, i) % len(x)] for i, x in enumerate(["o", "oRS", "oS", "o", "o", "o", "o", "o"]))
      for s in range(8)])
same("it is not the state without a cache", image("none"), "oooooooo")
d.flush()
same("a flush there", inner("none"), "oSSooooo")
c.pwrite(b"T" * 512, 0, FUA)
c.pwrite(b"U" * 512, 0)
same("FUA there", inner("none"), "TSSooooo")
control("fault { op = [[flush]], lose = [[others]], export = [[crash/now/none+cache]] }")
d.pwrite(b"V" * 512, 3 * 512)
c.flush()
same("a flush there that covers only its own connection", inner("none"), "USSooooo")
control("fault.clear()")
d.pwrite(b"o" * 512, 3 * 512, FUA)
row("none of it concerns the live disk", "o 1:A", "o 1:B", "o 1:C", "o 1:D")

# A state without a cache has no states.
s = state("none")
says("a state without a cache", refused("none/crash/now/none"), "cache")
leave(s)

# Deeper.
third = f"{outer}/crash/now/all+cache"
e = state(third)
same("a third disk", disk(e), "USSooooo")
e.pwrite(b"V" * 512, 7)
e.pwrite(b"V" * 512, 7 * 512, FUA)
deeper = lambda choice: image(f"{third}/crash/now/{choice}")
same("cut the third time", [deeper("none"), deeper("all")],
     ["USSooooV", "[U7V505][V7S505]SooooV"])
same("which the second does not see", [disk(c), inner("all")], ["USSooooo"] * 2)
leave(c, d)
same("inner ones go on without the outer one", disk(e), "[U7V505][V7S505]SooooV")
says("but can not be opened anew", refused(f"{outer}/crash/now/none"), "open")
leave(e)
c = state(outer)
same("it was released", disk(c), "oooooooo")
c.pwrite(b"X" * 512, 0)
same("and numbers begin at 1 again", inner("only-1"), "Xooooooo")
says("of it", refused(f"{outer}/crash/now/only-2"), r"\b2\b")
leave(c)

# +cache after each CHOICE.
for choice in ("all", f"lose-{number(1)}", f"only-{number(1)}:0", "prefix-0", "reqs-3", "sectors-9", "state-5"):
    c = state(choice + "+cache")
    plain = image(choice)
    c.pwrite(b"R" * 512, 7 * 512)
    same(f"{choice}+cache", image(f"{choice}+cache/crash/now/none"), plain)
    leave(c)
'
stopped
done_testing
