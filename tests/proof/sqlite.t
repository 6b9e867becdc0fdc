#!/usr/bin/env bash
# SQLite on a disk that turns out to be full (a thin pool) reports it, and its
# database stays intact: all that was committed is there when the disk has room
# again.
#
# That holds because synchronous=EXTRA makes a commit wait for the directory,
# too, and because SQLite ends at the first error and the file system is mounted
# again before the database is read.  Without either, rows get lost.  A process
# that goes on after a failed fsync builds on what is in the kernel's cache but
# not on the disk (fsync.t): a transaction in WAL mode that failed looks
# committed to the next process, and pages that are written again may be lost
# after an fsync that succeeded.  With SQLite 3.40 in WAL mode on ext4 of Linux
# 6.18, a third of such databases ended up malformed.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
need sqlite3 mkfs.ext4 e2fsck

serve size=64M log=faults.log control="$scratch/control"
fuse_disk || skip_all "$why"

# mounted_by WAY: mount the disk's file system.
mounted_by ()
{
    case $1 in
    kernel) kernel_mount errors=continue ;;
    fuse2fs) fuse2fs_mount ;;
    esac
}

# unmounted_by WAY: unmount it completely, so that nothing stays cached.
# shellcheck disable=SC2317,SC2329 # called through check
unmounted_by ()
{
    case $1 in
    kernel) kernel_unmount ;;
    fuse2fs) unmount mounted && wait "$fuse2fs" ;;
    esac
}

# table NAME JOURNAL: a database with a table.
table ()
{
    sqlite3 "mounted/$1" "PRAGMA journal_mode = $2;
        CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)"
}

# insert NAME COUNT WIDTH: insert rows, each in a transaction, until one fails; prints
# the numbers of those that were committed.
insert ()
{
    local n
    # With -bail, SQLite 3.53 reads nothing after a -cmd, and does the rest of
    # a line after an error in it: no -cmd, and each statement on its own line.
    { echo "PRAGMA synchronous = EXTRA;"
      for ((n = 1; n <= $2; n++)); do
          echo "INSERT INTO t VALUES ($n, printf('%0$3d', $n));"
          echo "SELECT $n;"
      done; } | sqlite3 -batch -bail "mounted/$1"
}

# no_space: for how many writes the disk had no room.
no_space () { grep -c '"medium":"disk:limit",.*"op":"write".*"error":"ENOSPC"' faults.log; }

# fills_up WAY JOURNAL ROOM [used]: in a file system mounted in that way, an
# SQLite database with that journal mode grows until there is no more room.  If
# the file system's own journal was used before, it has its place on the disk.
fills_up ()
{
    local before last rows i name="$1, $2, $3${4:+, $4}"

    mkfs.ext4 -q -F -b 4096 -E "root_owner=$(id -u):$(id -g)" fuse/disk ||
        bail "mkfs.ext4 failed"
    if ! mounted_by "$1"; then
        skip "$name" "$why"
        return
    fi
    if [ "${4:-}" = used ]; then
        table before delete >before.out
        insert before 500 1 >before.out
    fi
    table database "$2" >table.out
    is "$(cat table.out)" "$2" "$name: a table"

    check "$name: little room is left" control "
        local allocated = 0
        for _, count, kind in disk:extents() do
            if kind == 'data' then allocated = allocated + count end
        end
        disk:limit(allocated + bytes '$3')"
    before=$(no_space)
    insert database 1000 10000 >committed 2>errors
    ok $((! $?)) "$name: it fills up"
    like "$(cat errors)" "disk I/O error|disk is full|readonly database" "$name: SQLite says so"
    # The log is written by a thread of its own.
    for ((i = 0; i < 500 && $(no_space) <= before; i++)); do sleep 0.02; done
    [ "$(no_space)" -gt "$before" ]
    ok $? "$name: for that reason"

    control "disk:limit(disk.size)"
    check "$name: unmounted" unmounted_by "$1"
    mounted_by "$1" || bail "$why"
    last=$(tail -n 1 committed)
    is "$(sqlite3 mounted/database 'PRAGMA integrity_check' 2>&1)" ok "$name: the database is intact"
    # The row that failed may be there nevertheless, but then it is whole.
    rows=$(sqlite3 mounted/database "SELECT count(*), min(n), max(n),
        count(*) FILTER (WHERE v <> printf('%010000d', n)) FROM t" 2>&1)
    [ "${last:-0}" -gt 0 ] && { [ "$rows" = "$last|1|$last|0" ] ||
        [ "$rows" = "$((last + 1))|1|$((last + 1))|0" ]; }
    ok $? "$name: every committed row is there" || echo "# last committed: $last, there: $rows"
    check "$name: there is room again" sqlite3 mounted/database "INSERT INTO t VALUES (10000, 'more')"
    check "$name: unmounted" unmounted_by "$1"
    check "$name: the file system is good" e2fsck -fn fuse/disk
}

for way in kernel fuse2fs; do
    for journal in delete truncate wal; do
        fills_up $way $journal 200K
        fills_up $way $journal 2M
        # fuse2fs has no journal.
        [ $way = fuse2fs ] || fills_up $way $journal 1M used
    done
done

fuse_stopped
stopped
done_testing
