#!/usr/bin/env bash
# Every wrong parameter ends nbdkit with one line that names the parameter and
# says what is expected; every right one is taken.
. "$(dirname "$0")/lib.sh"
need nbdinfo

# wrong LINES REGEX PARAMETER...: nbdkit fails with at most so many lines on
# standard error, of which the first matches.
wrong ()
{
    local lines=$1 expected=$2 status
    shift 2
    timeout 60 "${watch[@]}" nbdkit -f -U sock "$SO" "$@" >out 2>err </dev/null
    status=$?
    [ "$status" -eq 1 ] && [ ! -s out ] && [ "$(wc -l <err)" -le "$lines" ] \
        && head -1 err | grep -Eq -- "$expected"
    if ok $? "refused: ${*:-no parameters}"; then
        return
    fi
    echo "# status $status, expected $lines line(s): $expected"
    sed 's/^/# got: /' out err
}

refused () { wrong 1 "$@"; }

# accepted SIZE PARAMETER...: the disk that they make has that size.
accepted ()
{
    local expected=$1
    shift
    timeout 60 "${watch[@]}" nbdkit -f -U - "$SO" "$@" \
        --run "nbdinfo --size \"\$uri\"" >out 2>err </dev/null
    [ "$(cat out)" = "$expected" ] && [ ! -s err ]
    ok $? "accepted: $*" || sed 's/^/# got: /' out err
}

number='size=.*number of bytes'
refused "$number" size=foo
refused "$number" size=-1
refused "$number" size=+1
refused "$number" size=1Z
refused "$number" size=9223372036854775808
refused "$number" size=18446744073709551616
refused "$number" size=99999999999999999999999999
refused "$number" size=8E
refused "$number" size=
refused "$number" size=1M1
refused "$number" size=1MM
refused "$number" size=1MiB
refused "$number" "size= 1M"
refused "$number" "size=1M "
refused "$number" size=0x1000
refused "$number" size=1e6
refused "$number" size=1.5G
refused "$number" size=M
refused "$number" size=1M size=x
refused "$number" foo
refused 'size parameter is missing.*size=1G'
refused 'size parameter is missing' allocator=sparse
refused 'allocator=foo.*sparse.*malloc' size=1M allocator=foo
refused 'allocator=.*sparse.*malloc' size=1M allocator=
refused 'allocator=zstd.*not supported' size=1M allocator=zstd
refused 'allocator=zstd.*not supported' size=1M allocator=zstd,level=3
refused 'allocator=malloc,mlock=maybe.*mlock=true' size=1M allocator=malloc,mlock=maybe
refused 'siez=1.*size' siez=1
refused 'siez=1.*size' size=1M siez=1
refused 'alocator=malloc.*allocator' size=1M alocator=malloc
refused 'xyzzy=1.*unknown' size=1M xyzzy=1
refused 'hooks.*/nonexistent.*No such file' size=1M hooks=/nonexistent
refused 'lua.*syntax error near' size=1M 'lua=syntax error here'
# Errors of running scripts may say more: where they were called from.
wrong 9 'lua:1:.*nosuchfunction' size=1M 'lua=nosuchfunction()'
wrong 9 'lua:2: boom' size=1M $'lua=\nerror("boom")'

accepted 0 size=0
accepted 1 size=1
accepted 512 size=512b
accepted 512 size=1s
accepted 1536 size=3S
accepted 65536 size=64k
accepted 65536 size=64K
accepted 1048576 size=1m
accepted 1048576 size=1M
accepted 1073741824 size=1g
accepted 1073741824 1G
accepted 1099511627776 size=1T
accepted 1125899906842624 size=1p
accepted 1152921504606846976 size=1E
accepted 8070450532247928832 size=7e
accepted 9223372036854775807 size=9223372036854775807
accepted 1048576 size=1M allocator=sparse
accepted 1048576 allocator=sparse 1M
accepted 1048576 allocator=malloc size=1M
accepted 1048576 size=1M allocator=malloc,mlock=false
limit=$(ulimit -l)
if [ "$limit" = unlimited ] || [ "$limit" -ge 4096 ]; then
    accepted 1048576 size=1M allocator=malloc,mlock=true
else
    skip "accepted: allocator=malloc,mlock=true" "ulimit -l is $limit"
fi
done_testing
