#!/usr/bin/env bash
# SQLite's lost commit by name, after the run: commits are marked when they are
# acknowledged, and later the disk of the moment after each mark is looked at.  With a
# DELETE journal the last commit is gone there, even if nothing of the disk is lost: it is
# the kernel that has not deleted the journal yet.  With synchronous=EXTRA it is there.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need sqlite3 mkfs.ext4 losetup nbdfuse

# shellcheck disable=SC2317,SC2329 # called through with_state
rows () { sqlite3 mounted/db "PRAGMA integrity_check; SELECT group_concat(n, ' ') FROM t" 2>&1 | xargs; }

# run SYNCHRONOUS: make a table durable, and commit four rows.
run ()
{
    local n
    serve size=64M write-cache=volatile history=1G control="$scratch/control"
    fuse_disk || skip_all "$why"
    ext4_mount commit=3600 || skip_all "$why"
    sqlite3 mounted/db "CREATE TABLE t (n)" && sync -f mounted
    for n in 1 2 3 4; do
        sqlite3 mounted/db "PRAGMA synchronous = $1; INSERT INTO t VALUES ($n)" || bail "no commit"
        control "disk:mark 'ack $n'"
    done
    check "synchronous=$1: unmounted" kernel_unmount
    fuse_stopped
}

run FULL
for choice in all none; do
    is "$(with_state "mark-ack%202/$choice" rows)" "ok 1" "the second commit is gone: crash/mark-ack%202/$choice"
done
is "$(with_state "mark-ack%204/all" rows)" "ok 1 2 3" "the last one is gone, and those before are not"
is "$(with_state end/none rows)" "ok 1 2 3 4" "unmounted, all are there"
stopped
rmdir fuse
run EXTRA
is "$(with_state "mark-ack%202/none" rows)" "ok 1 2" "synchronous=EXTRA: nothing is gone"
stopped
done_testing
