#!/usr/bin/env bash
# scripts/blkdebug.lua: events and states choose the requests that fail, the same
# ones as in QEMU; breakpoints suspend one until it is resumed.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

all='def all(): print(r(0), w(0), t(h.flush), t(h.zero, 512, 0), t(h.trim, 512, 0))
'
serve "${usage[@]}"
sees "$all
all(); all()" "ok EIO ok ok ok
ok ok ok ok ok" "once"
stopped

# run URI CODE: what a client prints that asks for no structured replies, because
# qemu-nbd can't send a failed read in one.
run ()
{
    nbdsh -c "$sees
def z(offset): return t(h.zero, 4096, offset)
def d(offset): return t(h.trim, 4096, offset)
def f(): return t(h.flush)
h.set_request_structured_replies(False)
h.connect_uri('$1')
print($2)" 2>&1
}

# in_qemu CODE PARAMETER...: what QEMU's own blkdebug makes of it.
in_qemu ()
{
    local options=driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=image
    local p code=$1
    shift
    for p; do options+=,file.$p; done
    rm -f image qemu.pid
    truncate -s 1M image
    qemu-nbd -k "$scratch/qemu.sock" --pid-file=qemu.pid --fork --discard=unmap --image-opts "$options"
    run "nbd+unix:///?socket=$scratch/qemu.sock" "$code"
    end "$(cat qemu.pid)"
}

# blkdebug CODE EXPECTED PARAMETER...: requests, how they go here, and in QEMU.
blkdebug ()
{
    local code=$1 expected=$2
    shift 2
    script "$@"
    is "$(run "$uri" "$code")" "$expected" "$*"
    stop
    if [ -n "$WATCH" ] || ! command -v qemu-nbd >/dev/null; then
        skip "QEMU has the same" "qemu-nbd is not installed, or the server is watched"
    else
        is "$(in_qemu "$code" "$@")" "$expected" "QEMU has the same"
    fi
}

# With an event its errors become active, for requests of any kind.
blkdebug "w(0), r(0), w(0), d(0), f(), z(0)" "ok EIO EIO EIO EIO EIO" inject-error.0.event=read_aio
blkdebug "r(0), w(0), r(0), z(0)" "ok ENOSPC ENOSPC ENOSPC" inject-error.0.event=pwritev inject-error.0.errno=28
blkdebug "w(0), z(0), w(0)" "ok EPERM EPERM" \
    inject-error.0.event=pwritev_zero inject-error.0.errno=1 inject-error.0.immediately=on
blkdebug "r(0), w(0), d(0), f(), z(0)" "EIO EIO EIO EIO EIO" inject-error.0.event=none

# Another event's errors take their place.
blkdebug "z(0), w(0), z(0), w(0)" "EIO ENOSPC ENOSPC ENOSPC" inject-error.0.event=pwritev_zero \
    inject-error.0.once=on inject-error.1.event=pwritev inject-error.1.errno=28
blkdebug "w(0), f(), f(), w(0), f()" "ok ENOSPC EIO ok ok" inject-error.0.event=flush_to_os inject-error.0.once=on \
    inject-error.1.event=flush_to_disk inject-error.1.errno=28 inject-error.1.once=on
blkdebug "w(0), w(0), w(0), w(0)" "EIO ENOSPC ok ok" inject-error.0.event=write_aio inject-error.0.errno=28 \
    inject-error.0.once=on inject-error.1.event=pwritev inject-error.1.once=on

# Of several for one event the first comes first, and the second is not used up.
blkdebug "w(0), w(0), w(0)" "ENOSPC EIO ok" inject-error.0.event=write_aio inject-error.0.errno=28 \
    inject-error.0.once=on inject-error.1.event=write_aio inject-error.1.once=on

# Types of requests, after the event.
blkdebug "r(0), w(0), f(), w(0), r(0), z(0), r(0)" "ok ok ok ok EIO ok EIO" \
    inject-error.0.event=write_aio inject-error.0.iotype=read
blkdebug "r(0), w(0), f(), z(0), d(0), d(0)" "ok ok ok ok EIO EIO" \
    inject-error.0.event=none inject-error.0.iotype=discard
blkdebug "r(0), w(0), z(0), f(), w(0), r(0), z(0)" "EIO ok EINVAL ok ok ok ok" inject-error.0.event=none \
    inject-error.0.once=on inject-error.1.event=write_aio inject-error.1.errno=22 \
    inject-error.1.iotype=write-zeroes inject-error.1.once=on

blkdebug "r(1024), r(1536), r(2048), r(0, 4096), r(1535, 1), r(1537, 5), f()" "ok EIO ok EIO ok ok ok" \
    inject-error.0.event=read_aio inject-error.0.sector=3

# States: only after a flush that comes after a read.
blkdebug "w(0), f(), w(0), r(0), w(0), f(), w(0), w(0), r(0)" "ok ok ok ok ok ok EIO EIO EIO" \
    inject-error.0.event=write_aio inject-error.0.state=3 \
    set-state.0.event=read_aio set-state.0.state=1 set-state.0.new_state=2 \
    set-state.1.event=flush_to_disk set-state.1.state=2 set-state.1.new_state=3 \
    set-state.2.event=write_aio set-state.2.state=3 set-state.2.new_state=1
blkdebug "w(0), r(0), r(0), w(0), r(0)" "ok ok EIO ok ok" \
    set-state.0.event=read_aio set-state.0.new_state=2 set-state.1.event=read_aio set-state.1.new_state=3 \
    inject-error.0.event=read_aio inject-error.0.state=2 inject-error.0.once=on \
    inject-error.1.event=read_aio inject-error.1.state=3 inject-error.1.errno=28
blkdebug "w(0), r(0), w(0), z(0)" "ok EIO ENOSPC ENOSPC" \
    set-state.0.event=pwritev_done set-state.0.state=1 set-state.0.new_state=2 \
    inject-error.0.event=read_aio inject-error.0.state=2 \
    inject-error.1.event=pwritev inject-error.1.state=2 inject-error.1.errno=28
blkdebug "z(0), w(0), d(0), w(512)" "ok EIO ok ok" inject-error.0.event=pwritev_done inject-error.0.once=on

# Each error is a rule, which may never have fired.
script inject-error.0.event=read_aio inject-error.1.event=none inject-error.1.iotype=flush
sees 'print(r(0), w(0))' "EIO EIO" "two rules"
stopped
is "$(grep 'never fired' log | grep -o 'inject-error[^ ]*')" "inject-error.1" "the one that never fired is pointed out"

script control=ctl.sock
sees 'print(ctl("blkdebug.break_at([[write_aio]], [[A]])"))
c = h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"x" * 512)), 0)
print(ctl("blkdebug.wait_break([[A]])"))
print(h.pread(1, 0), w(512), h.aio_command_completed(c), ctl("blkdebug.resume([[A]])"))
while not h.aio_command_completed(c): h.poll(-1)
print(h.pread(1, 0), w(0))
print(ctl("blkdebug.break_at([[read_aio]], [[B]])"), ctl("blkdebug.remove_break([[B]])"), r(0))
print(ctl("blkdebug.break_at([[write_iao]], [[C]])"))
print(ctl("blkdebug.break_at([[write_aio]])"))
for f in "wait_break", "resume", "remove_break": print(ctl("blkdebug.%s([[A]])" % f), ctl("blkdebug.%s()" % f))
print(ctl("blkdebug.break_at([[read_aio]], [[A]])"), ctl("blkdebug.resume([[A]])"))
print("already" in ctl("blkdebug.break_at([[write_aio]], [[A]])"), ctl("#fault.list()"))' "None
None
bytearray(b'\\x00') ok False None
bytearray(b'x') ok
None None ok
event=write_iao: expected flush_to_disk, flush_to_os, none, pwritev, pwritev_done, pwritev_zero, read_aio, write_aio
tag=nil: expected a name, such as \"A\"
tag=A: there is no breakpoint with this tag tag=nil: there is no breakpoint with this tag
tag=A: there is no breakpoint with this tag tag=nil: there is no breakpoint with this tag
tag=A: there is no breakpoint with this tag tag=nil: there is no breakpoint with this tag
None tag=A: no request waits at this breakpoint
True 1" "a breakpoint"
stopped

refused 'inject-error.0.event=l2_load: expected flush_to_disk' inject-error.0.event=l2_load
refused 'inject-error.0.errno=2: expected 1, 12' inject-error.0.event=none inject-error.0.errno=2
refused 'set-state.0.new_state=x: expected a whole number from 1' set-state.0.event=none set-state.0.new_state=x
refused 'inject-error.1.once=x: expected true or false' inject-error.{0,1}.event=none inject-error.1.once=x
refused 'inject-error.1.event=none: .*no script' inject-error.1.event=none
refused 'inject-error.0.once=off: .*more than once' inject-error.0.event=none inject-error.0.once={on,off}
done_testing
