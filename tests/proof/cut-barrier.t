#!/usr/bin/env bash
# A power cut takes what was synced on ext4 if it is mounted with barrier=0, and leaves
# it with the default options.
#
# With barrier=0, the kernel's ext4 sends no flush when a program calls fsync.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need mkfs.ext4 losetup nbdfuse

# append TEXT: append a line to the file, and sync it.
append ()
{
    echo "$1" >>mounted/file
    sync mounted/file || bail "no sync"
}

# synced OPTIONS LEFT WHAT: a line is written with default options, and one with these.
# After a cut, the file has the lines LEFT.
synced ()
{
    serve size=64M write-cache=volatile
    fuse_disk || skip_all "$why"
    ext4_mount defaults || skip_all "$why"
    append first
    check "unmounted" kernel_unmount
    kernel_mount "$1" || bail "$why"
    append second
    is "$(with_state none cat mounted/file 2>&1)" "$2" "$1: $3"
    is "$(cat mounted/file)" "first
second" "$1: the disk itself has both lines"
    check "$1: unmounted" kernel_unmount
    fuse_stopped
    stopped
    rmdir fuse
}

synced barrier=0 first "what was synced is lost"
synced defaults "first
second" "what was synced is there"
done_testing
