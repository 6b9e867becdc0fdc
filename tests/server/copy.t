#!/usr/bin/env bash
# A real file system image survives being copied in and out with nbdcopy and qemu-img,
# and its holes stay holes.
. "$(dirname "$0")/../lib/lib.sh"
need nbdcopy nbdinfo mke2fs cmp truncate

# 64 MiB, most of it empty.
truncate -s 64M image
mke2fs -q -F -t ext4 -d "$TOP/tests" image >mke2fs.out 2>&1 \
    || skip_all "mke2fs -d does not work here: $(head -1 mke2fs.out)"

# data: how many bytes of the disk are allocated.
data () { nbdinfo --map --totals "$uri" | awk '$3 == 0 { print $1 }'; }

serve size=64M
check "nbdcopy in" nbdcopy image "$uri"
check "nbdcopy out" nbdcopy "$uri" out
check "what comes out is what went in" cmp image out
# The image takes 4 KiB blocks; nbdcopy looks for zeroes in larger ones.
like "$(data)" '^[1-9][0-9]{4,6}$' "less than 10 MB is allocated"
stopped

serve size=64M
if command -v qemu-img >/dev/null; then
    check "qemu-img in" qemu-img convert -n -f raw -O raw image "$uri"
    like "$(data)" '^[1-9][0-9]{4,6}$' "less than 10 MB is allocated"
    check "qemu-img out" qemu-img convert -f raw -O raw "$uri" out2
    check "what comes out is what went in" cmp image out2
    check "qemu-img compares them too" qemu-img compare -f raw -F raw image "$uri"
    check "qemu-img out to another format" qemu-img convert -f raw -O qcow2 -c "$uri" out.qcow2
    check "which holds the same" qemu-img compare -f raw -F qcow2 image out.qcow2
else
    skip "qemu-img in and out" "qemu-img is not installed"
fi
stopped

# nbdcopy copies from one of our disks to another.
serve size=64M
first=$uri
check "nbdcopy in" nbdcopy image "$uri"
before=$(data)
serve size=64M
check "nbdcopy from server to server" nbdcopy "$first" "$uri"
is "$(data)" "$before" "holes stay holes on the way"
check "nbdcopy out" nbdcopy "$uri" out3
check "what comes out is what went in" cmp image out3
stopped
done_testing
