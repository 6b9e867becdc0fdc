#!/usr/bin/env bash
# disktorture on a store with one planted bug finds it and says what it is; on the store
# without a bug it reports nothing.  SEEDS=10 tries ten orders and samples of the states.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
fuse_needed
check "it is built without a warning" "${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wshadow \
    -Wconversion -Werror -O2 -o planted "$TOP/tests/torture/planted.c"

# The switches whose bugs show only when a request fails: what is acknowledged then.
serve size=16M control=control
fuse_disk
export disk=fuse/disk
# acknowledged OP ERROR BUG: work while each request OP fails.
acknowledged ()
{
    control "fault { op = '$1', error = '$2' }" >fault.out
    ./planted work ${3:+"$3"} 2>why | xargs
    control "fault.clear()" >fault.out
}
is "$(acknowledged write EIO)$(acknowledged write ENOSPC)$(acknowledged flush EIO)" "" "no bug: a request fails"
for bug in "write EIO unchecked-write" "write ENOSPC unchecked-write" "flush EIO unchecked-fsync" \
    "write EIO swallowed-eio" "flush EIO swallowed-eio"; do
    # shellcheck disable=SC2086 # three words
    is "$(acknowledged $bug)" "ack 1=1 ack 2=1 ack 1=2" "$bug: acknowledged all the same"
done
is "$(acknowledged write ENOSPC swallowed-eio)" "" "only EIO is swallowed"

unset disk
why="mkfs.ext4 does not work here"
mkfs.ext4 -q -F fuse/disk 2>/dev/null && kernel_mount ro
mounted=$?
[ $mounted != 0 ] || kernel_unmount
detach
fuse_stopped
stopped

# torture NAME SEED ARGUMENTS: with the bug of that name, or with none.  Its output is in the
# file out, its results are in found.
torture ()
{
    local bug=${1/none/} seed=$2
    shift 2
    rm -rf found
    disktorture --seed "$seed" --out found "$@" --workload "./planted work $bug" \
        --check "./planted check $bug" >out 2>&1 </dev/null
}

# good NAME ARGUMENTS
good ()
{
    torture "$1" "$seed" "${@:2}"
    is "$? $(tail -1 out)" "0 good      no state failed" "$*, seed $seed: nothing is reported" || tell <out
}

# found BUG CLASS SENTENCE LAST-LINE ARGUMENTS: each cause is of that class and has that last
# line of the check, and the sentence is there; the first one fails again when it is shown.
found ()
{
    local bug=$1 class=$2 sentence=$3 line=$4 what="$1 ${*:5}, seed $seed" first name
    torture "$bug" "$seed" "${@:5}"
    is $? 1 "$what: exit status"
    is "$(sed -nE 's/.*\[([A-D])\b.*/\1/p' out | sort -u)" "$class" "$what: class"
    like "$(cat out)" "$sentence" "$what: sentence"
    is "$(grep -E '^ +(check|mount):' out | grep -vE "check: $line\$")" "" "$what: reasons"
    name=$(sed -n 's/.*again: disktorture .*show //p' out | head -1)
    like "$(disktorture --out found show "$name" </dev/null)" "
broken: $line$" "$what: shown again"
    first=$(grep -v -n -m 1 '"outcome":"good"' found/results.jsonl | cut -d : -f 1)
    echo "# $what: state ${first:-none} of $(wc -l <found/results.jsonl) was the first that failed"
    # A third of the states fail, or more: in a fair order, one of them comes early.
    ok $((${first:-51} > 50)) "$what: early" || tell <out
}

[ $mounted = 0 ] || skip "in files" "$why"
files=(--size 16M --mount ext4)
for ((seed = 1; seed <= ${SEEDS:-2}; seed++)); do
    good none --size 1M
    # Not in files: ext4's own superblock may be torn, and then it can't be mounted.
    good none --size 1M --sector 512
    # A sector holds all of a value.
    good in-place --size 1M
    [ $mounted != 0 ] || good none "${files[@]}"
done

gone="key [12] (is missing|has version 1, not 2)"
promised='After "ack [12]=[12]", power is cut just then\.  '
for ((seed = 1; seed <= ${SEEDS:-1}; seed++)); do
    found in-place C 'Request [0-9]+, a write of 4096 bytes at (4096|8192), loses sector [0-7] \(of 0-7\)\.' \
        "key [12] is damaged" --size 1M --sector 512
    like "$(cat out)" "not with --sector 4096" "in-place, seed $seed: a disk that writes 4096 bytes whole is safe"
    # A part that is lost fails, but the whole does as well: it is not that the write is torn.
    found no-fsync B "$promised" "($gone|key [12] is damaged)" --size 1M --sector 512
    found no-fsync B "$promised(All that was not flushed is lost|Request.* lost|Of what was not flushed)" \
        "$gone" --size 1M
    if [ $mounted = 0 ]; then
        found no-fsync A 'power is cut .*  Nothing that the disk had is lost\.' "(key [12] is damaged|$gone)" "${files[@]}"
        found no-dir-fsync A "${promised}Nothing that the disk had is lost\." "$gone" "${files[@]}"
    fi
done
is "$(left)" "" "nothing is left behind"
done_testing
