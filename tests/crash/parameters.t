#!/usr/bin/env bash
# write-cache=, sector= and atomic=: what is wrong with them is one sentence.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

# wrong REGEX PARAMETERS: they stop the start, with one line.
wrong ()
{
    local expected=$1
    shift
    nbdkit_run -U refused.sock size=16K "$@" --run true >said 2>&1
    ok $((! $?)) "refused: $*"
    like "$(cat said)" "^nbdkit: error: .*($expected)" "... because of ${*: -1}"
    is "$(grep -c . said)" 1 "... in one line" || tell <said
}
v=write-cache=volatile
for value in 0 1 511 513 1024 2048 8192 4097 -512 x "" 1M; do
    wrong "512.*4096" $v "sector=$value"
done
for value in 0 511 256 1000 6144 -4096 x "" 4095; do
    wrong "atomic" $v "atomic=$value"
done
wrong "atomic" $v sector=4096 atomic=512
wrong "atomic" $v sector=4096 atomic=2048
wrong "write-cache" write-cache=some
wrong "write-cache" write-cache=
wrong "add write-cache=volatile" sector=4096
wrong "add write-cache=volatile" history=1M
for value in 0 x "" -1; do wrong "history=$value: expected a number of bytes" $v history=$value; done
wrong "write-cache: the parameter has no value" write-cache
wrong "write-cache=volatile" atomic=4096
wrong "write-cache=volatile" write-cache=none atomic=4096
wrong "twice|already" $v $v
wrong "twice|already" $v sector=512 sector=512

# Good ones, with what nbdinfo says of them.
for good in "" sector=512 sector=4096 sector=4k atomic=512 atomic=4096 atomic=16K atomic=1M \
    "sector=4096 atomic=4096" "sector=4096 atomic=64K" sector=8s; do
    # shellcheck disable=SC2086
    serve size=16K $v $good
    is "$(nbdinfo --size "$uri") $(nbdinfo --size "nbd+unix:///crash/now/none?socket=$sock")" "16384 16384" \
        "good: $good"
    is "$(cat log)" "" "... without a word"
    stopped
done

# A disk whose size is no multiple of the sector has a short last sector, and says so.
for how in "1000 512" "1 512" "5000 4096" "16383 4096"; do
    read -r size sector <<<"$how"
    serve size="$size" $v sector="$sector" control=ctl
    is "$(grep -c . log) $(grep -c 'sector' log)" "1 1" "$size bytes, sector=$sector: one sentence"
    rows '
size = h.get_size()
h.pwrite(b"A" * size, 0)
last = (size - 1) // int("'"$sector"'") * int("'"$sector"'")
got = [bytes(state(s).pread(size, 0)) for s in ("none", "all", "only-1:%d" % (last // int("'"$sector"'")))]
same("states have that size, too", got, [bytes(size), b"A" * size, bytes(last) + b"A" * (size - last)])
h.pwrite(b"B", size - 1)
h.flush()
same("the last byte", bytes(state("sectors-1").pread(1, size - 1)), b"B")
'
    stopped
done

# Odd disks.
serve size=0 $v
is "$(nbdinfo --size "nbd+unix:///crash/now/none?socket=$sock")" 0 "an empty disk"
stopped
cached $((2**63 - 1))
rows '
size = h.get_size()
last = size - 700
h.pwrite(b"A" * 700, last)
h.pwrite(b"B" * 512, 0)
same("the largest disk", [bytes(state(s).pread(700, last)) for s in ("all", "none")], [b"A" * 700, bytes(700)])
same("all of its states", len({bytes(c.pread(700, last)) + bytes(c.pread(1, 0)) for c in (state(f"state-{i}") for i in range(8))}), 8)
says("and no other", refused("state-8"), r"\b8\b")
h.zero(2**31, 2**40)
h.trim(2**31, 2**41)
h.flush()
same("large zeroes", bytes(state("sectors-3").pread(512, 2**40)), bytes(512))
'
stopped

# Other allocators.
serve size=4K $v allocator=malloc control=ctl lua='_ = sleep'
rows '
fresh()
write(h, "A")
row("allocator=malloc", "o 1:A")
'
stopped
done_testing
