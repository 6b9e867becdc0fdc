#!/usr/bin/env bash
# scripts/vm-image.lua: an MBR, and random data in a share of the partition.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy nbdinfo sha256sum cmp

# share: how much of the disk holds data, in per mille.
share () { nbdinfo --map --totals "$uri" | awk '{ all += $1 } $3 == 0 { data = $1 } END { printf "%d", 1000 * data / all }'; }

serve "${usage[@]}"
got=$(share)
[ "$got" -ge 99 ] && [ "$got" -le 101 ]
ok $? "full=10% of the disk is data" || echo "# $got per mille"
clusters=$(nbdinfo --map "$uri" | wc -l)
[ "$clusters" -gt 100 ]
ok $? "in many clusters" || echo "# $clusters"
stopped

script size=64M
if command -v sfdisk >/dev/null; then
    nbdcopy "$uri" image
    check "sfdisk --verify" sfdisk --verify image
    like "$(sfdisk --dump image)" '^image1 : start= *2048, size= *129024, type=83' "one partition"
else
    skip "one partition" "sfdisk is not installed"
fi
python 'import zlib
data = b"".join(h.pread(1 << 20, i << 20) for i in range(1, 64)).replace(bytes(4096), b"")
print(len(zlib.compress(data)) > .99 * len(data))' >out
is "$(cat out)" True "the data can't be compressed"
stopped

# content PARAMETER...: its checksum, and one of its holes.
content ()
{
    script size=64M "$@"
    nbdcopy "$uri" - | sha256sum | cut -c1-16
    nbdinfo --map "$uri" | awk '{ print $1, $2, $3 }' | sha256sum | cut -c1-16
    stop
}
content >default
is "$(cat default)" "1324f8d395758410
9541f0365d59af5b" "without parameters, this is the disk"
content full=10 variant=1 seed=0 >same
check "these are the defaults" cmp same default
content seed=1 >seed
is "$(sed -n 2p seed)" "$(sed -n 2p default)" "another seed: clusters in the same places"
is "$(head -qn 1 seed default | uniq | wc -l)" 2 "with other data"
content variant=2 >variant
is "$(cat default variant | sort -u | wc -l)" 4 "another variant: other places"

for full in 1 50 99.5 100%; do
    script size=64M full=$full
    expected=$(awk "BEGIN { print int (10 * ${full%\%}) }")
    got=$(share)
    # The first MiB is no part of it, and clusters are whole pages.
    [ "$got" -ge $((expected * 63 / 64 - 2)) ] && [ "$got" -le $((expected + 2)) ]
    ok $? "full=$full" || echo "# $got per mille"
    stop
done

refused 'vm-image.lua: full=x: expected how much' size=64M full=x
refused 'vm-image.lua: full=0: expected how much' size=64M full=0
refused 'vm-image.lua: full=101%: expected how much' size=64M full=101%
refused 'vm-image.lua: full=-1: expected how much' size=64M full=-1
refused 'vm-image.lua: variant=x: expected a whole number' size=64M variant=x
refused 'vm-image.lua: the disk must be larger' size=1M
done_testing
