#!/usr/bin/env bash
# nbdcopy, qemu-img convert and fio report the error that a rule injects, and fail.  The
# test says where a tool does not.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
need nbdcopy qemu-img fio

size=$((8 << 20))
serve size=$size control="$scratch/control"
head -c $size /dev/urandom >source
check "the disk is filled" nbdcopy source "$uri"

nbd=(fio --thread --name=job --ioengine=nbd "--uri=$uri" --bs=64k "--size=$size")

# run COMMAND: sets status, and fired, which is how often the rule fired meanwhile.
# Messages go to the file out.
run ()
{
    fired=$(fired it)
    "$@" >out 2>&1 </dev/null
    status=$?
    fired=$(($(fired it) - fired))
}

# arm RULE: from now on there is only this rule, whose name is "it".
arm ()
{
    control "fault.clear() fault { name='it', $1, error='EIO' }" >arm.out 2>&1 ||
        bail "$(cat arm.out)"
}

# reported WHAT COMMAND: the rule fires, and the command reports it.
reported ()
{
    local what=$1
    shift
    run "$@"
    [ $fired -gt 0 ] && [ $status -ne 0 ] && [ $status -lt 126 ] &&
        grep -q "Input/output error" out
    ok $? "$what" || { echo "# fired $fired, status $status"; sed 's/^/# /' out; }
}

# flush_fails WHAT COMMAND: the command flushes, and the flush fails.  The versions that
# were tried ignore that.  A later one may report it, but then in the right way.
flush_fails ()
{
    local what=$1
    shift
    run "$@"
    [ $fired -gt 0 ]
    ok $? "$what: its flush failed"
    if [ $status -eq 0 ]; then
        echo "# $what exits with 0 although its flush failed"
    else
        grep -q "Input/output error" out
        ok $? "$what: it says so" || sed 's/^/# /' out
    fi
}

arm "op='read', offset='4M', count=512"
reported "nbdcopy, read error" nbdcopy "$uri" copy
reported "nbdcopy --synchronous, read error" nbdcopy --synchronous "$uri" copy
reported "qemu-img convert, read error" qemu-img convert -f raw -O raw "$uri" copy
reported "fio, read error" "${nbd[@]}" --rw=read
reported "fio of many requests at once, read error" "${nbd[@]}" --rw=read --iodepth=16

cp source expected
# With --salvage that is right: a warning that names the place, and zeroes.
run qemu-img convert --salvage -f raw -O raw "$uri" copy
is $status 0 "qemu-img convert --salvage goes on"
like "$(cat out)" "4194304.*Input/output error" "... with a warning"
dd if=/dev/zero of=expected bs=512 seek=8192 count=1 conv=notrunc status=none
check "... and all but the bad sector" cmp copy expected

arm "op='write', offset='4M', count=512"
reported "nbdcopy, write error" nbdcopy source "$uri"
reported "nbdcopy --synchronous, write error" nbdcopy --synchronous source "$uri"
reported "qemu-img convert, write error" qemu-img convert -n -f raw -O raw source "$uri"
reported "fio, write error" "${nbd[@]}" --rw=write
reported "fio of many requests at once, write error" "${nbd[@]}" --rw=write --iodepth=16

# With this cache mode qemu-img wants each write to be durable: FUA.
arm "op='write', fua=true, offset='4M', count=512"
reported "qemu-img convert -t writethrough, FUA write error" qemu-img convert -n -t writethrough -f raw -O raw source "$uri"

truncate -s $size hole
arm "op={'zero', 'trim'}"
reported "nbdcopy, zero error" nbdcopy hole "$uri"
reported "qemu-img convert, zero error" qemu-img convert -n -f raw -O raw hole "$uri"

arm "op='extents'"
reported "nbdcopy, block status error" nbdcopy "$uri" copy
reported "qemu-img convert, block status error" qemu-img convert -f raw -O raw "$uri" copy

arm "op='flush'"
check "nbdcopy does not flush unless told to" nbdcopy source "$uri"
is "$(fired it)" 0 "... as the disk knows"
reported "nbdcopy --flush, flush error" nbdcopy --flush source "$uri"
reported "nbdcopy --synchronous --flush, flush error" nbdcopy --synchronous --flush source "$uri"
reported "qemu-img bench, flush error" qemu-img bench -f raw -w -c 2 -d 1 --flush-interval=1 "$uri"

# qemu-img convert flushes when it closes its target, whatever the cache mode,
# and QEMU has no way to report an error of that (seen in 7.2).
for mode in none writeback writethrough unsafe; do
    arm "op='flush'"
    flush_fails "qemu-img convert -t $mode" qemu-img convert -n -t $mode -f raw -O raw source "$uri"
done

# fio ignores the error of a flush that completes later, as flushes of its nbd engine
# do (seen in 3.33).
for option in fsync end_fsync; do
    arm "op='flush'"
    flush_fails "fio --ioengine=nbd --$option" "${nbd[@]}" --rw=write --$option=1
done

# As a file, where fsync is a system call, it does not.
if ! fuse_disk; then
    skip "fio of a file" "$why"
else
    for option in fsync end_fsync fdatasync; do
        arm "op='flush'"
        reported "fio of a file, --$option" fio --thread --name=job --ioengine=psync --filename=fuse/disk --rw=write --bs=64k --size=$size --$option=1
    done
    fuse_stopped
fi

control 'fault.clear()'
check "without a rule: nbdcopy" nbdcopy --flush source "$uri"
check "qemu-img finds it the same" qemu-img compare -f raw -F raw source "$uri"
check "fio" "${nbd[@]}" --rw=read
stopped
done_testing
