#!/usr/bin/env bash
# When the power of a disk with ext4 is cut in the middle of an append and comes back,
# the same disk can be mounted again, and all that was synced is there.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need mkfs.ext4 e2fsck losetup nbdfuse

serve size=64M write-cache=volatile control="$scratch/control"
fuse_disk || skip_all "$why"
ext4_mount defaults || skip_all "$why"

# append_until_cut: append and sync lines; the file synced has those for which that is
# done.
append_until_cut ()
{
    while n=$((n + 1)) && echo "$n" >>mounted/file && sync mounted/file; do
        echo "$n" >>synced
    done 2>errors
}

# cut_at FLUSH CHOICE
cut_at ()
{
    local name="flush $1, $2"
    control "fault.clear() fault { op='flush', nth=$1, cut='$2' }" >control.out 2>&1 ||
        bail "$(cat control.out)"
    append_until_cut
    like "$(cat errors)" "Input/output error|Read-only file system" "$name: the power is off"
    check "$name: unmounted" kernel_unmount
    control "disk:power_on()" >control.out 2>&1 || bail "$(cat control.out)"
    kernel_mount defaults || bail "$why"
    # The line that was not synced may be there, as the last one.
    is "$(grep -vxF "$n" mounted/file)" "$(cat synced)" "$name: the synced lines are there"
    cp mounted/file synced
    sync mounted/file
}

n=0
: >synced
# The third flush is that before ext4's journal commits, the fourth the one after it.
for choice in none all sectors-{1..4} reqs-{1..4}; do
    cut_at 3 "$choice"
    cut_at 4 "$choice"
done
check "unmounted" kernel_unmount
check "the file system is good" e2fsck -fn fuse/disk
fuse_stopped
stopped
done_testing
