#!/usr/bin/env bash
# What a program appended to a file on ext4 and synced is there after any power cut, also
# in the middle of the next append.
#
# A flush is stopped just before it does its work: then most is at stake.  The states are
# mounted while it waits.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need mkfs.ext4 losetup nbdfuse nbdinfo

# Each record has some blocks, so that a cut can tear it.
record () { printf '%020000d\n' "$1"; }

# append_all: append and sync records.  The file synced has the number of the last one
# for which that is done.
append_all ()
{
    local n
    for ((n = 1; n <= 8; n++)); do
        record "$n" >>mounted/file && sync mounted/file && echo "$n" >synced.new &&
            mv synced.new synced || return
    done
}

# compare N: the file mounted/file begins with the records 1 to N.
# shellcheck disable=SC2317,SC2329 # called through with_state and check
compare ()
{
    local n
    for ((n = 1; n <= $1; n++)); do record "$n"; done |
        cmp -n $(($1 * 20001)) - mounted/file
}

# cut_at FLUSH: the flush of this number waits, and states are tried.
cut_at ()
{
    local appender synced choice
    serve size=64M write-cache=volatile control="$scratch/control"
    fuse_disk || skip_all "$why"
    ext4_mount defaults || skip_all "$why"
    : >mounted/file
    sync -f mounted
    echo 0 >synced
    # What waits can't be unmounted.
    at_exit+=("control 'fault.clear()' >control.out 2>&1")
    control "fault { op='flush', nth=$1, hang=true, name='cut' }" >control.out 2>&1 ||
        bail "$(cat control.out)"
    append_all &
    appender=$!
    control "fault.get('cut'):wait(600)" >control.out 2>&1 || bail "$(cat control.out)"
    synced=$(cat synced)
    like "$(nbdinfo "nbd+unix:///crash/now/prefix-0?socket=$sock")" \
        "prefix-0: [1-9].* sectors; legal" "flush $1: something is at stake"
    for choice in none all sectors-{1..5} reqs-{1..6}; do
        check "flush $1, $choice: the $synced records that were synced are there" \
            with_state "$choice" compare "$synced"
    done
    control "fault.clear()" >control.out 2>&1
    check "flush $1: the disk itself goes on" wait $appender
    check "flush $1: all its records are there" compare 8
    check "flush $1: unmounted" kernel_unmount
    fuse_stopped
    stopped
    rmdir fuse
}

for flush in 3 4 9 10; do cut_at $flush; done
done_testing
