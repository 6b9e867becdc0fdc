#!/usr/bin/env bash
# With synchronous=FULL and a DELETE journal, a power cut right after a commit of
# SQLite was acknowledged undoes it; with EXTRA, or with another journal, it does not.
#
# What commits such a transaction is that its journal is deleted, and with FULL
# SQLite does not sync the directory then.  So after a cut the journal may be there
# again, and is rolled back.  That it is gone is known only to the kernel then: no disk
# could help.  (https://sqlite.org/pragma.html#pragma_synchronous)
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need sqlite3 mkfs.ext4 losetup nbdfuse

# look: what SQLite finds after the cut.  (A journal that begins with a zero is over.)
# shellcheck disable=SC2317,SC2329 # called through with_state
look ()
{
    [ ! -s mounted/db-journal ] || cmp -s -n 1 mounted/db-journal /dev/zero ||
        echo "a journal"
    sqlite3 mounted/db "PRAGMA integrity_check; SELECT group_concat(n, ' ') FROM t" 2>&1
}

# rows: those in the database before the cut.
rows () { sqlite3 mounted/db "SELECT group_concat(n, ' ') FROM t" 2>&1; }

# commit SYNCHRONOUS JOURNAL: a table with a row that is durable, and one more row.
commit ()
{
    sqlite3 mounted/db "PRAGMA journal_mode = $2; CREATE TABLE t (n);
        INSERT INTO t VALUES (1)" >commit.out 2>&1 && sync -f mounted &&
        sqlite3 mounted/db "PRAGMA journal_mode = $2; PRAGMA synchronous = $1;
            INSERT INTO t VALUES (2)" >>commit.out 2>&1
}

# after_cut SYNCHRONOUS JOURNAL LEFT WHAT: what is left if the power is cut right
# after the commit.  The pattern LEFT says what it has to be.
after_cut ()
{
    local name="synchronous=$1, journal_mode=$2"
    serve size=64M write-cache=volatile
    fuse_disk || skip_all "$why"
    # ext4 commits each few seconds, too, which would make all durable.
    ext4_mount commit=3600 || skip_all "$why"
    commit "$1" "$2" || bail "$(cat commit.out)"
    is "$(with_state none look)" "$3" "$name: $4"
    is "$(rows)" "1 2" "$name: the disk itself has both rows"
    check "$name: unmounted" kernel_unmount
    fuse_stopped
    stopped
    rmdir fuse
}

after_cut FULL DELETE "a journal
ok
1" "the commit is undone"
after_cut EXTRA DELETE "ok
1 2" "nothing is lost"
for journal in TRUNCATE PERSIST WAL; do
    after_cut FULL $journal "ok
1 2" "nothing is lost"
done
done_testing
