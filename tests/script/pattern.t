#!/usr/bin/env bash
# scripts/pattern.lua: each 8 bytes hold their offset, as in nbdkit's pattern
# plugin, as long as nobody writes there.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy nbdinfo cmp

serve "${usage[@]}"
is "$(nbdinfo --size "$uri")" 9007199254740992 "8 PiB are served"
python - >out <<'PY'
import random, struct
def pattern(count, offset):
    first = offset // 8
    words = [(first + i) * 8 for i in range(count // 8 + 2)]
    return struct.pack(f">{len(words)}Q", *words)[offset % 8:][:count]
places = [(0, 8), (0, 65536), (65528, 16), (1 << 52, 262144), (1000001, 1000003), (h.get_size() - 8, 8)]
places += [(random.randrange(h.get_size() - 300000), random.randrange(1, 300000)) for _ in range(30)]
for offset, count in places:
    if h.pread(count, offset) != pattern(count, offset):
        print("wrong:", offset, count)
h.pwrite(b"hello", 1 << 40)
if h.pread(65536, (1 << 40) - 3) != (pattern(3, (1 << 40) - 3) + b"hello" + pattern(65528, (1 << 40) + 5)):
    print("wrong beside what was written")
h.trim(8192, 1 << 41)
if h.pread(8200, 1 << 41) != bytes(8192) + pattern(8, (1 << 41) + 8192):
    print("wrong where it was trimmed")
PY
is "$(cat out)" "" "each 8 bytes hold their offset, but where they were written or trimmed"
stopped

if nbdkit --dump-plugin pattern >/dev/null 2>&1; then
    # A size that is no multiple of 8 or of a page.
    script size=10000003
    is "$(nbdinfo --map --totals "$uri" | awk '{ print $1, $3 }')" "10000003 0" "all is data"
    nbdkit -U - pattern size=10000003 --run "nbdcopy \"\$uri\" stock"
    check "copy" nbdcopy "$uri" ours
    check "nbdkit's pattern plugin gives the same" cmp stock ours
    stopped
else
    skip "nbdkit's pattern plugin gives the same" "it is not installed"
fi

script size=$((2**63 - 1))
is "$(python 'print(h.pread(9, h.get_size() - 9).hex())')" fff07fffffffffffff "the end of the largest disk"
stopped

refused 'offset=1: no script looks this parameter up' size=1M offset=1
done_testing
