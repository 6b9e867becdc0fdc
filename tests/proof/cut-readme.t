#!/usr/bin/env bash
# The power cut in README.md takes a commit that was acknowledged, as shown there, and
# also if the kernel's ext4 is used in place of fuse2fs.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need nbdfuse nbdcopy mkfs.ext4 sqlite3 python3
[ -z "$WATCH" ] || skip_all "the examples run unwatched"

python3 "$TOP/tests/lib/examples.py" "$TOP/README.md" readme
example=$(grep -l crash/now/none readme.*.cmd)
[ -f "$example" ] || bail "README.md has no such example"
example=$scratch/${example%.cmd}

# What can be used here?
serve size=64M
fuse_disk || skip_all "$why"
ext4_mount defaults
kernel=$? kernel_why=$why
[ $kernel -ne 0 ] || kernel_unmount
fuse2fs_mount
user=$? user_why=$why
[ $user -ne 0 ] || { unmount mounted && wait "$fuse2fs"; }
fuse_stopped
stopped

# as_shown WHAT EDIT: run the example, edited; sleep waits for what it is there for.  A
# file system may close a file, and flush, only after SQLite has removed its journal: the
# commit is durable then, by luck.  So that it is gone must be seen once in five runs.
as_shown ()
{
    local i
    for i in 1 2 3 4 5; do
        run_example "$1" "$2"
        cmp -s "$1/got" "$example.out" && break
        unmount_example "$1"
        mv "$1" "$1.$i"
    done
    [ -d "$1" ] || mv "$1.$i" "$1"
    is "$(cat "$1/got")" "$(cat "$example.out")" "$1: the commit is gone"
}

unmount_example ()
{
    local dir
    for dir in live cut dev; do unmount "$scratch/$1/made/$dir"; done
}

run_example ()
{
    mkdir "$1"
    at_exit+=("unmount_example $1")
    cd "$1" || bail "no directory"
    ln -s "$SO" memory.so
    sed "s,mktemp -d,mkdir made; echo made,
        s,& sleep 1,\& until [ -e dev/sda ]; do sleep 0.02; done,
        s,sleep 1; until umount dev; do sleep 1,until umount dev 2>busy; do sleep 0.02,
        $2" "$example.cmd" >cmd
    timeout 60 bash cmd >got 2>&1
    cd "$scratch" || bail "no directory"
}

if [ $user -ne 0 ]; then
    skip fuse2fs "$user_why"
else
    as_shown fuse2fs ""
fi
# A commit that ends in a write which SQLite flushes is never gone.
if [ $user -eq 0 ]; then
    run_example wal 's,live/db ",&PRAGMA journal_mode=WAL; ,'
    is "$(tail -2 wal/got | xargs)" "10 99" "wal: the commit stays"
else
    skip wal "$user_why"
fi
# ext4 commits each few seconds, which would make all durable.
if [ $kernel -ne 0 ]; then
    skip kernel "$kernel_why"
else
    as_shown kernel "s/fuse2fs\( -o hard_remove\)*/mount -o loop,commit=3600/"
fi
done_testing
