#!/usr/bin/env bash
# Memory is in proportion to what is stored: trimmed and zeroed pages are given back to
# the system, and scattered small writes cost little more than their pages.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh
[ -z "$WATCH" ] || skip_all "$WATCH has memory of its own"
[ -r /proc/self/status ] || skip_all "there is no /proc"

# resident: kilobytes of the server.
resident () { awk '$1 == "VmRSS:" { print $2 }' "/proc/$server/status"; }
# between LOW HIGH GOT NAME
between ()
{
    [ "$3" -ge "$1" ] && [ "$3" -le "$2" ]
    ok $? "$4" || echo "# got $3 kB, expected $1 to $2 kB"
}

# Requests are small because each of nbdkit's threads keeps a buffer of the
# size of the largest that it met.
serve size=1G
write='
import os
for i in range(1024):
    h.pwrite(os.urandom(65536), i << 16)
'
python "$write
h.trim(64 << 20, 0)"
for what in "h.trim(64 << 20, 0)" "h.zero(64 << 20, 0)" \
            "[h.trim(4096, i << 12) for i in range(16384)]" \
            "h.zero(1 << 30, 0, nbd.CMD_FLAG_FAST_ZERO)"
do
    start=$(resident)
    python "$write"
    between $((start + 65000)) $((start + 65536 + 4096)) "$(resident)" "64 MiB written take 64 MiB"
    python "$what"
    between 0 $((start + 4096)) "$(resident)" "given back by $what"
done
# One page of each 64 KiB stays, 4 MiB in all.
start=$(resident)
python "$write"
python "[h.trim(61440, i << 16) for i in range(1024)]"
between $((start + 4000)) $((start + 4096 + 4096)) "$(resident)" "single pages stay, others are given back"
stopped

# Zeroes that nobody wrote take no memory.
serve size=1P
alive "a disk of 1 PiB starts"
start=$(resident)
python - >out <<'PY'
for i in range(2000):
    h.zero(1 << 20, i << 38)
    h.trim(0xffffffff, i << 38)
    h.pread(65536, i << 38)
PY
is "$(cat out)" "" "zero, trim and read where nothing was written"
between 0 $((start + 4096)) "$(resident)" "takes no memory"
stopped

serve size=1T
alive "a disk of 1 TiB starts"
random_work 20000 0
start=$(resident)
python - >out <<'PY'
import os, random
random.seed(int(os.environ["SEED"]))
data = random.randbytes(4096)
for i in range(int(os.environ["WORK"])):
    h.pwrite(data, random.randrange(1 << 28) << 12)
PY
is "$(cat out)" "" "$WORK random writes of 4 KiB"
between $((start + WORK * 4)) $((start + WORK * 4 * 115 / 100 + 2048)) "$(resident)" \
    "take at most 15 % more than that"
stopped
done_testing
