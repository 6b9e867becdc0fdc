#!/usr/bin/env bash
# With atomic=SIZE, a request of at most SIZE bytes that crosses no multiple of SIZE
# survives in all its sectors or in none; where it is seen, nothing older is.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

# seen(atomic, sectors): checks sectors-S for many S against the words of the model, and
# gives what was seen.
seen='
def prediction(seed, sectors, atomic):
    left = [[(n, c) for n, c in s if n not in atomic or draw(seed, n) % 2] for s in sectors]
    picks = [s[draw(seed, i) % len(s)] for i, s in enumerate(left)]
    shown = None
    while shown != picks:
        shown = list(picks)
        for n in sorted(n for n in atomic if draw(seed, n) % 2):
            if not any(p[0] == n for p in picks):
                continue
            for i, s in enumerate(sectors):
                mine = [v for v in s if v[0] == n]
                if mine and picks[i][0] < n:
                    picks[i] = mine[0]
    return "".join(c for _, c in picks)

def seen(name, atomic, *sectors, seeds=200):
    sectors += ("o",) * (control("disk.size") // 512 - len(sectors))
    sectors = [versions(s) for s in sectors]
    atomic = {number(n) for n in atomic}
    images, wrong, open = set(), [], []
    for seed in range(seeds):
        open.append(state(f"sectors-{seed}"))
        got, expected = disk(open[-1]), prediction(seed, sectors, atomic)
        if got != expected:
            wrong.append(f"sectors-{seed}: got {got}, expected {expected}")
        images.add(got)
    leave(*open)
    result(name, wrong)
    return images
'

cached 8K atomic=4096
rows "$seen"'
rest = "o" * 8
fresh()
write(h, "AAAAAAAA")
same("one W over 8 sectors, aligned", seen("by its draws", {1}, *["o 1:A"] * 8), {"o" * 16, "A" * 8 + rest})
write(h, "B", 2)
same("then W(B) to one of its sectors", seen("by their draws", {1, 2}, *["o 1:A"] * 2, "o 1:A 2:B", *["o 1:A"] * 5),
     {"o" * 16, "A" * 8 + rest, "ooBooooo" + rest, "AABAAAAA" + rest})
same("state-I", bool(refused("state-0")), True)
says("is refused", refused("state-0"), "atomic")
says("a sector of an atomic request alone", refused(f"lose-{number(1)}:3"), "atomic")
same("the whole", [image(f"only-{number(1)}"), image(f"lose-{number(2)}")], ["A" * 8 + rest] * 2)
same("lose-LIST", image(f"lose-{number(1)}"), "ooBooooo" + rest)
flush(h)
same("after a flush", image("none"), "AABAAAAA" + rest)
same("state-I is there again", [image("state-0"), bool(refused("state-1"))], ["AABAAAAA" + rest, True])

fresh()
write(h, "AAAA", 6)
row("a W that crosses a multiple is not atomic", *["o"] * 6, *["o 1:A"] * 4)

fresh()
write(h, "AAAAAAAAA")
row("nor is one that is larger", *["o 1:A"] * 9)

fresh()
write(h, "AAAA", 2)
zero(h, 3, 4)
images = seen("two atomic requests that overlap", {1, 2}, "o", "o", "o 1:A", "o 1:A", "o 1:A 2:0", "o 1:A 2:0", "o 2:0")
same("each all or none", images, {s + "o" * 9 for s in ("ooooooo", "ooAAAAo", "oooo000", "ooAA000")})

fresh()
write(h, "AAAA")
write(h, "BBBBBBBBB", 2)
images = seen("an atomic request beneath one that is not", {1}, "o 1:A", "o 1:A", "o 1:A 2:B", "o 1:A 2:B",
              *["o 2:B"] * 7, seeds=300)
same("its sectors go together", {i[:4] for i in images},
     {"oo" + x for x in ("oo", "oB", "Bo", "BB")} | {"AA" + x for x in ("AA", "AB", "BA", "BB")})

fresh()
write(h, "BBBBBBBBB")
write(h, "AAAA", 2)
images = seen("an atomic request over one that is not", {2}, "o 1:B", "o 1:B", *["o 1:B 2:A"] * 4, *["o 1:B"] * 3,
              seeds=300)
same("its sectors go together, too", {i[2:6] for i in images},
     {"".join(s) for s in itertools.product("oB", repeat=4)} | {"AAAA"})

fresh()
w = Held("after", h, "write", "AAAAAAAA")
same("one in flight", seen("by its draw, too", {1}, *["o 1:A"] * 8), {"o" * 16, "A" * 8 + rest})
w.go()

fresh()
write(h, "AAAAAAAA")
write(connect(), "B", 3, fua=True)
same("FUA over a part of one leaves the rest", seen("all or none of the rest", {1},
     *["o 1:A"] * 3, "B", *["o 1:A"] * 4), {"oooBoooo" + rest, "AAABAAAA" + rest})

fresh()
write(h, "A")
same("of one sector", seen("of one sector", {1}, "o 1:A"), {"o" * 16, "A" + "o" * 15})

fresh()
write(h, b"A" * 1024, offset=256)
same("parts of sectors", seen("parts of sectors", {1}, "o 1:[o256A256]", "o 1:A", "o 1:[A256o256]"),
     {"o" * 16, "[o256A256]A[A256o256]" + "o" * 13})
'
stopped
done_testing
