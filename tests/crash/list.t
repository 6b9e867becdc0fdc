#!/usr/bin/env bash
# nbdinfo --list shows the states that are open, and none and all; the description of a
# state says in words what it is.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"
need nbdinfo

cached 16K
names () { nbdinfo --list "$uri" | sed -n 's/^export="\(.*\)":$/\1/p' | sort; }
is "$(names)" "
crash/now/all
crash/now/none" "the live disk, none and all"
is "$(python 'from crash import *
s = [state(n) for n in ("sectors-7", "none", "all+cache", "sectors-7")]
s.append(state("all+cache/crash/now/none"))
control("disk:snapshot([[snap]])")
found = []
l = nbd.NBD()
l.set_opt_mode(True)
l.connect_unix(os.environ["sock"])
l.opt_list(lambda name, text: found.append(name))
print(*sorted(found), sep="\n")
l.opt_abort()
leave(*s)')" "
crash/now/all
crash/now/all+cache
crash/now/all+cache/crash/now/none
crash/now/none
crash/now/sectors-7
snap" "and what is open, once each"
is "$(names)" "
crash/now/all
crash/now/none
snap" "until it is closed"

rows '
fresh()
write(h, "A" * 8)
write(h, "B" * 8, 4)
write(h, "C" * 8, 20)
lost = lambda choice, requests, sectors: same("description of " + choice, words(choice),
    f"power cut now, {choice}: {requests} of 3 unflushed requests lost {sectors} of 20 sectors; legal")
n1, n2, n3 = number(1), number(2), number(3)
lost("none", 3, 20)
lost("all", 0, 0)
lost(f"lose-{n3}", 1, 8)
lost(f"lose-{n3}:0-4", 1, 5)
lost(f"only-{n2}", 2, 12)
lost("state-0", 3, 20)
'
stopped

# Sectors of one request are picked one by one, those of the others, a terabyte, are not:
# this would take minutes, in which all requests wait.
cached 1T
rows '
most = (1 << 32) - (1 << 20)
trims = -(-(1 << 40) // most)
for i in range(trims):
    h.trim(min(most, (1 << 40) - i * most), i * most)
c = nbd.NBD()
c.set_full_info(True)
c.set_export_name("crash/now/lose-2:0-3")
c.connect_unix(os.environ["sock"])
same("four sectors of a terabyte", c.get_export_description(),
     f"power cut now, lose-2:0-3: 1 of {trims} unflushed requests lost 4 of {1 << 31} sectors; legal")
leave(c)
'
stopped
done_testing
