#!/usr/bin/env bash
# The power fails, and fails again while ext4 recovers: the recovery's own writes are cut at
# each of its flushes, through the states of a state (+cache), and what was synced is there.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need mkfs.ext4 losetup nbdfuse

serve size=64M write-cache=volatile sector=4096 history=1G control="$scratch/control"
fuse_disk || skip_all "$why"
ext4_mount commit=3600 || skip_all "$why"
for n in 1 2 3; do
    echo "content $n" >"mounted/f$n"
    mkdir "mounted/d$n"
    sync -f mounted
done
control "disk:mark 'synced'" >/dev/null
echo more >mounted/more
check "unmounted" kernel_unmount
fuse_stopped

# The first cut.  Recovery writes to a state that has a cache and a history of its own, which
# live as long as it is open.
outer=crash/mark-synced/none+cache
rm -rf fuse mounted
uri="nbd+unix:///$outer?socket=$sock"
fuse_disk || bail "$why"
loop=
kernel_mount ro || bail "$why"
is "$(cat mounted/f3)" "content 3" "recovered once"
check "unmounted again" kernel_unmount
detach

# shellcheck disable=SC2317,SC2329 # called through with_state
files () { cat mounted/f1 mounted/f2 mounted/f3 2>&1 | xargs; find mounted -name 'd?' | wc -l; }

cuts=0 flush=1
while :; do
    for choice in none all sectors-1 sectors-2; do
        got=$(with_state "mark-synced/none+cache/crash/before-flush-$flush/$choice" files)
        [ "$got" = "content 1 content 2 content 3
3" ] || break 2
        cuts=$((cuts + 1))
        rm -rf state
    done
    flush=$((flush + 1))
done
echo "# $cuts cuts of the recovery at $((flush - 1)) flushes"
check "there are some" [ "$cuts" -ge 4 ]
like "$(tail -3 log)" "flushes? (is|are) recorded" "and then no more, as the server says"
fuse_stopped
stopped
done_testing
