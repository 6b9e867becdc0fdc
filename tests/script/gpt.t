#!/usr/bin/env bash
# scripts/gpt.lua: sfdisk and sgdisk find the partitions that were asked for,
# and nothing to complain about.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy nbdinfo

# dump IMAGE: number, start and size of each partition.
dump ()
{
    sfdisk --dump "$1" | sed -n 's/^image\([0-9]*\) : start= *\([0-9]*\), size= *\([0-9]*\),.*/\1 \2 \3/p'
}

serve "${usage[@]}"
nbdcopy "$uri" image
if command -v sgdisk >/dev/null; then
    like "$(sgdisk -v image 2>&1)" '^No problems found' "sgdisk -v"
    is "$(sgdisk -v image 2>&1 | grep -Ei 'caution|warning|error|corrupt')" "" "which warns of nothing"
else
    skip "sgdisk -v" "sgdisk is not installed"
fi
if command -v sfdisk >/dev/null; then
    check "sfdisk --verify" sfdisk --verify image
    is "$(dump image)" "1 2048 204800
2 206848 409600
3 616448 1478656" "three partitions"
    is "$(sfdisk --dump image | grep -c 'type=0FC63DAF-8483-4772-8E79-3D69D8477DE4')" 3 "for Linux"
    is "$(sfdisk --dump image | grep -o '\(uuid=\|label-id: \).*' | sort -u | wc -l)" 4 "four GUIDs"
    cp --sparse=always image spoilt
    dd if=/dev/zero of=spoilt bs=512 seek=1 count=33 conv=notrunc status=none
    mv spoilt image
    is "$(dump image 2>/dev/null | wc -l)" 3 "the backup is as good"
else
    skip "sfdisk" "sfdisk is not installed"
fi
# 20480 bytes at each end: a page more than 34 or 33 sectors fill.
is "$(nbdinfo --map "$uri" | awk '{ printf "%s+%s:%s ", $1, $2, $3 }')" \
   "0+20480:0 20480+1073700864:3 1073721344+20480:0 " "nothing else is on the disk"
stopped

# content PARAMETER...: a checksum of both tables, into the file sum.
content ()
{
    script size=10M parts=1M,2M "$@"
    python 'import hashlib
data = h.pread(1 << 20, 0) + h.pread(1 << 20, h.get_size() - (1 << 20))
print(hashlib.sha256(data).hexdigest()[:16])' >sum
    stop
}
content
is "$(cat sum)" e00eff70b9a11d42 "the same parameters always give these bytes"
content seed=1
is "$(cat sum)" b5e04b73db88db66 "another seed gives others"

many=$(printf '1M,%.0s' {1..127})
script size=1G "parts=${many}rest"
nbdcopy "$uri" image
if command -v sfdisk >/dev/null; then
    check "sfdisk --verify" sfdisk --verify image
    is "$(dump image | tail -1)" "128 262144 1832960" "128 partitions"
else
    skip "128 partitions" "sfdisk is not installed"
fi
stopped

refused 'gpt.lua: .*parts=' size=1G
refused 'gpt.lua: parts=: "": expected 512 to' size=1G parts=
refused 'gpt.lua: parts=1M,x: "x": expected 512 to' size=1G parts=1M,x
refused 'gpt.lua: parts=1G: "1G": expected 512 to 1072676352' size=1G parts=1G
refused 'gpt.lua: parts=rest: "rest": no room is left' size=1M parts=rest
refused 'gpt.lua: parts=rest: ' size=0 parts=rest
refused 'part=1M: .*did you mean parts' size=1G parts=rest part=1M
done_testing
