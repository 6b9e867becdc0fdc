#!/usr/bin/env bash
# disktorture on other file systems, whose own check decides where there is no --check.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
mount_needed

cat >work.sh <<'SH'
mkdir "$dir/d" && echo one >"$dir/d/one" && sync -f "$dir" && echo "ack one"
mv "$dir/d/one" "$dir/two" && sync -f "$dir" && echo "ack two"
SH
# shellcheck disable=SC2016 # disktorture sets it
check='test ! -s "$acked" || ls "$dir/d/one" "$dir/two" 2>&1 | grep -qx "$dir/two\|$dir/d/one"'
# torture KIND SIZE ARGUMENTS
torture ()
{
    local kind=$1 size=$2
    shift 2
    rm -rf found
    disktorture --size "$size" --mount "$kind" --workload "sh work.sh" --out found "$@" >out 2>&1 </dev/null
}
# can KIND TOOL: is it here?
can ()
{
    grep -qw "$1" /proc/filesystems && command -v "mkfs.$1" "$2" >/dev/null
}

for row in "ext4 8M e2fsck" "xfs 300M xfs_repair" "btrfs 128M btrfs"; do
    read -r kind size tool <<<"$row"
    can "$kind" "$tool" || { skip "$kind" "no $kind here"; continue; }
    torture "$kind" "$size" --budget 20s
    is "$? $(tail -1 out)" "0 good      no state failed" "$kind: its own check" || tell <out
    torture "$kind" "$size" --budget 20s --check "$check"
    is "$? $(tail -1 out)" "0 good      no state failed" "$kind: what was synced is there" || tell <out
    torture "$kind" "$size" --check "$check; test ! -e \"\$dir/d/one\" || test ! -s \"\$acked\" || { echo still; false; }"
    is $? 1 "$kind: a check that says no"
    like "$(cat out)" "check: still" "$kind: what it says"
    is "$(left)" "" "$kind: nothing is left"
done
if can btrfs btrfs; then
    torture btrfs 128M --jobs 2
    is "$? $(cat out)" "2 disktorture: --jobs 2: only one btrfs of the same disk can be mounted at a time" "btrfs, two at once"
fi

# fuse2fs writes no journal, and does not order what it writes.
if command -v fuse2fs >/dev/null; then
    torture fuse2fs 8M --check true
    is "$? $(tail -1 out)" "0 good      no state failed" "fuse2fs: e2fsck mends what it leaves"
    # shellcheck disable=SC2016
    journal='mkfs.ext4 -q -F -b 4096 -E root_owner=$(id -u):$(id -g) "$disk"'
    torture fuse2fs 8M --check true --setup "$journal" --fsck true
    is $? 1 "fuse2fs: fails where nothing mends"
    like "$(cat out)" "it can't be mounted" "fuse2fs: cut at the wrong moment"
    before=$(grep -c unreadable found/results.jsonl)
    name=$(sed -n 's/.*again: disktorture .*show //p' out | head -1)
    like "$(disktorture --out found show "$name" </dev/null)" "unreadable" "fuse2fs: shown again"
    torture fuse2fs 8M --check true --setup "$journal"
    after=$(grep -c unreadable found/results.jsonl)
    check "it mends some: $before without, $after with it" [ "$after" -lt "$before" ]
    torture fuse2fs 8M --check true --fsck "false; exit 8"
    is "$? $(grep -c "with no power cut at all" out)" "2 1" "--fsck that finds errors"
    is "$(left)" "" "fuse2fs: nothing is left"
    rm -rf found
    disktorture --size 8M --mount fuse2fs --workload "sh work.sh" --check "sleep 0.05" --out found >out 2>&1 </dev/null &
    await_from $! disktorture test -s found/results.jsonl
    kill -KILL $!
    wait $! 2>/dev/null
    torture fuse2fs 8M --check "exit 77" --budget 1s
    rm -rf found
    disktorture --size 8M --mount fuse2fs --workload "sh work.sh" --check "sleep 0.05" --out found >out 2>&1 </dev/null &
    await_from $! disktorture test -s found/results.jsonl
    kill -TERM $!
    wait $! 2>/dev/null
    is "$(grep -cF "${scratch##*/}" /proc/mounts)" 0 "fuse2fs: interrupted, nothing stays mounted"
    is "$(left)" "" "fuse2fs: killed, nothing is left after the next start"
fi
done_testing
