#!/usr/bin/env bash
# A name of a state says exactly what it holds, and one that can't be is refused with a
# sentence that says what there is.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
# Pending are 2 in sectors 0 to 2, and 3 in sector 1.
fresh()
write(h, "X", 7, fua=True)
write(h, "ABC")
write(h, "D", 1)
write(h, "E", 5, fua=True)
n1, n2, n3, n4, n5 = (number(n) for n in range(1, 6))
sectors = [versions(s) for s in ("o 2:A", "o 2:B 3:D", "o 2:C", "o", "o", "E", "o", "X")]

def gives(choice, expected):
    same(choice, image(choice), expected + "ooEoX")
gives(f"lose-{n2}", "oDo")
gives(f"lose-{n3}", "ABC")
gives(f"lose-{n2},{n3}", "ooo")
gives(f"lose-{n2}-{n3}", "ooo")
gives(f"only-{n2}-{n2},{n3}", "ADC")
gives(f"lose-{n2}:0", "oDC")
gives(f"lose-{n2}:0,{n3}", "oBC")
gives(f"lose-{n2}:1-2", "ADo")
gives(f"lose-{n2}:1-2,{n3}", "Aoo")
gives(f"only-{n2}:1-2", "oBC")
gives(f"only-{n2}:2,{n3}:0", "oDC")
gives("prefix-0", "ooo")
gives(f"prefix-{n1}", "ooo")
gives(f"prefix-{n2}", "ABC")
gives(f"prefix-{2**64 - 1}", "ADC")
for seed in 7, 2**63, 2**64 - 1:
    for kind in "sectors", "reqs":
        same(f"{kind}-{seed}", image(f"{kind}-{seed}"), "".join(chosen(f"{kind}-{seed}", sectors)))

for name, pattern in (
        (f"lose-{n4}", f"\\b{n4}\\b"),                          # a FUA that succeeded
        (f"only-{n1}", f"\\b{n1}\\b"),
        (f"lose-{n5}", f"\\b{n5}\\b"),                          # there is none
        ("lose-0", "\\b0\\b"),
        (f"lose-{n2},{n4}", f"\\b{n4}\\b"),
        (f"lose-{n2}-{n4}", f"\\b{n4}\\b"),
        (f"lose-{n2}:3", "\\b3\\b"),                            # it has three sectors
        (f"lose-{n2}:0-3", "\\b3\\b"),
        (f"only-{n3}:1", "\\b1\\b"),
        ("state-12", "\\b12\\b"),                               # 2 * 3 * 2 states
        (f"state-{2**64 - 1}", "\\b12\\b")):
    says(name, refused(name), pattern)

# What is no CHOICE, or no POINT.
for name in ("crash", "crash/", "crash/now", "crash/now/", "crash//none", "crash/now/some", "crash/now/None",
             "crash/now/none/", "crash/now/ none", "crash/now/none ", "crash/now/noneX", "crash/now/all-1",
             "crash/now/lose", "crash/now/lose-", "crash/now/lose-x", "crash/now/lose--1",
             f"crash/now/lose-{n2},", f"crash/now/lose-,{n2}", f"crash/now/lose-{n3}-{n2}",
             f"crash/now/lose-{n2}:", f"crash/now/lose-{n2}:1-0", f"crash/now/lose-{n2}:x",
             "crash/now/prefix-", "crash/now/prefix-x", "crash/now/sectors-", "crash/now/sectors-1x", "crash/now/sectors-01",
             "crash/now/sectors--1", "crash/now/reqs", f"crash/now/sectors-{2**64}", f"crash/now/state-{2**64}",
             f"crash/now/prefix-{2**65}", f"crash/now/lose-{2**65}",
             "crash/now/none+", "crash/now/none+cash", "crash/now/none+cache+cache",
             "crash/now/none+cache/", "crash/now/none+cache/none", "crash/now/none/crash/now/none",
             "crash/then/none", "crash/Now/none", "Crash/now/none", "/crash/now/none", "crash/now\n/none"):
    s = refusal(name)
    result("refused: " + name.replace("\n", "\\n"), [] if s and s != "refused without a word" and len(s) < 1000 else [str(s)])

# Points in the past need a history.
for point in "0", str(n2), f"before-{n2}", "flush-1", "before-flush-1", "mark-x", "mark-x#2", "cut-1", "end":
    says("crash/" + point, refusal(f"crash/{point}/none"), "history")

# None of it has changed anything.
row("the disk is as it was", "o 2:A", "o 2:B 3:D", "o 2:C", "o", "o", "E", "o", "X")
'
check "the log has whole lines" awk '!/^nbdkit: /{exit 1}' log
stopped

# More than 2^64 states have no numbers.
cached 64K
rows '
fresh()
for name in "lose-1", "state-1":
    says(name + " when all is durable", refused(name), "nothing is unflushed")
write(h, "A" * 63)
s = state(f"state-{2**63 - 1}")
same("2^63 states", disk(s), "A" * 63 + "o" * 65)
says("one more", refused(f"state-{2**63}"), str(2**63))
write(h, "B", 100)
says("2^64 states", refused("state-0"), "2\\^64|18446744073709551616|too many")
write(h, "C" * 100)
says("state-I of a 100-sector write", refused("state-0"), "state")
same("the older state is still there", disk(state(f"state-{2**63 - 1}")), "A" * 63 + "o" * 65)
'
stopped

# Names that are too long, or as long as may be.
cached 1M
rows '
fresh()
for i in range(2000):
    write(h, "A", i)
names = "crash/now/only-" + ",".join(str(number(i + 1)) for i in range(2000))
name = names[:4097].rpartition(",")[0]
same("long names", show(connect(name).pread(512, 0)), "A")
'
stopped

# With the cache off.
for how in control=ctl.off write-cache=none; do
    serve size=4K $how
    is "$(python 'from clients import *
print(outcome(connect, "crash/now/none"))')" ENOENT "$how: there are no states"
    like "$(cat log)" "write-cache=volatile" "... and the log says how to have them"
    stopped
done
done_testing
