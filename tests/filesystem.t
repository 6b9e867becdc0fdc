#!/usr/bin/env bash
# A file system is made on the disk through nbdfuse, filled, and found clean.
. "$(dirname "$0")/lib.sh"
need nbdfuse mkfs.ext4 e2fsck debugfs
[ -w /dev/fuse ] || skip_all "/dev/fuse can't be used here"

# shellcheck disable=SC2317,SC2329 # called through check and at_exit
unmount () { fusermount3 -u fuse 2>/dev/null || fusermount -u fuse 2>/dev/null || umount fuse; }

serve size=64M
mkdir fuse
nbdfuse -P fuse.pid fuse/disk "$uri" >fuse.out 2>&1 &
fuse=$!
at_exit+=("unmount 2>/dev/null; end $fuse")
until [ -s fuse.pid ] && [ -e fuse/disk ]; do
    kill -0 "$fuse" 2>/dev/null || skip_all "nbdfuse does not work here: $(head -1 fuse.out)"
    sleep 0.02
done
is "$(stat -c %s fuse/disk)" 67108864 "nbdfuse shows the disk as a file"

check "mkfs.ext4" mkfs.ext4 -q -F fuse/disk
check "e2fsck finds it clean" e2fsck -fn fuse/disk

head -c 3000001 /dev/urandom >random
for ((i = 0; i < 50; i++)); do
    printf 'write %s/tests/lib.sh file%d\n' "$TOP" $i
done >commands
printf 'write random random\nmkdir directory\nrm file7\n' >>commands
debugfs -w -f commands fuse/disk >debugfs.out 2>&1
ok $? "debugfs writes files" || sed 's/^/# /' debugfs.out
check "e2fsck finds it clean" e2fsck -fn fuse/disk
debugfs -R 'dump random copy' fuse/disk >/dev/null 2>&1
check "a file comes back whole" cmp random copy
debugfs -R 'dump file49 copy' fuse/disk >/dev/null 2>&1
check "another, too" cmp "$TOP/tests/lib.sh" copy

# The kernel's own file system, where it may be mounted.
mkdir mounted
if [ "$(id -u)" -ne 0 ]; then
    skip "files through a mounted file system" "only root can mount"
elif ! mount -o loop,nosuid,nodev fuse/disk mounted >mount.out 2>&1; then
    skip "files through a mounted file system" "$(head -1 mount.out)"
else
    at_exit+=('umount mounted 2>/dev/null')
    check "the file is there when mounted" cmp random mounted/random
    check "files are copied" cp -r "$TOP/tests" mounted/tests
    check "and removed" rm mounted/random
    check "written in parts" dd if=/dev/urandom of=mounted/parts bs=1000 count=3000 status=none
    cp mounted/parts parts
    check "unmounted" umount mounted
    check "e2fsck finds it clean" e2fsck -fn fuse/disk
    debugfs -R 'dump parts copy' fuse/disk >/dev/null 2>&1
    check "what was written is on the disk" cmp parts copy
fi

check "nbdfuse ends" unmount
wait "$fuse"
stopped
done_testing
