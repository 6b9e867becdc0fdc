#!/usr/bin/env bash
# A file system is made on the disk through nbdfuse, filled, and found clean.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
need mkfs.ext4 e2fsck debugfs

serve size=64M
fuse_disk || skip_all "$why"
is "$(stat -c %s fuse/disk)" 67108864 "nbdfuse shows the disk as a file"

check "mkfs.ext4" mkfs.ext4 -q -F fuse/disk
check "e2fsck finds it clean" e2fsck -fn fuse/disk

head -c 3000001 /dev/urandom >random
# debugfs takes no paths with spaces.
cp "$TOP/tests/lib/lib.sh" .
for ((i = 0; i < 50; i++)); do
    printf 'write lib.sh file%d\n' $i
done >commands
printf 'write random random\nmkdir directory\nrm file7\n' >>commands
debugfs -w -f commands fuse/disk >debugfs.out 2>&1
ok $? "debugfs writes files" || sed 's/^/# /' debugfs.out
check "e2fsck finds it clean" e2fsck -fn fuse/disk
debugfs -R 'dump random copy' fuse/disk >/dev/null 2>&1
check "a file comes back whole" cmp random copy
debugfs -R 'dump file49 copy' fuse/disk >/dev/null 2>&1
check "another, too" cmp lib.sh copy

# The kernel's own file system, if it may be mounted.
if ! kernel_mount defaults; then
    skip "files through a mounted file system" "$why"
else
    check "the file is there when mounted" cmp random mounted/random
    check "files are copied" cp -r "$TOP/tests" mounted/tests
    check "and removed" rm mounted/random
    check "written in parts" dd if=/dev/urandom of=mounted/parts bs=1000 count=3000 status=none
    cp mounted/parts parts
    check "unmounted" kernel_unmount
    check "e2fsck finds it clean" e2fsck -fn fuse/disk
    debugfs -R 'dump parts copy' fuse/disk >/dev/null 2>&1
    check "what was written is on the disk" cmp parts copy
fi

fuse_stopped
stopped
done_testing
