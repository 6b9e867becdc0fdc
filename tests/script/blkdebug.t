#!/usr/bin/env bash
# scripts/blkdebug.lua: events and states choose the request that fails;
# breakpoints suspend one until it is resumed.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

all='def all(): print(r(0), w(0), t(h.flush), t(h.zero, 512, 0), t(h.trim, 512, 0))
'
serve "${usage[@]}"
sees "$all
all(); all()" "ok EIO ok ok ok
ok ok ok ok ok" "once"
stopped

# blkdebug EXPECTED PARAMETER...
blkdebug ()
{
    script "${@:2}"
    sees "$all
all()" "$1" "${*:2}"
    stop
}
blkdebug "EIO ok ok ok ok" inject-error.0.event=read_aio
blkdebug "ok ENOSPC ok ok ok" inject-error.0.event=pwritev inject-error.0.errno=28
blkdebug "ok ok ok EPERM ok" inject-error.0.event=pwritev_zero inject-error.0.errno=1 inject-error.0.immediately=on
blkdebug "ok ok EIO EINVAL ok" inject-error.0.event=flush_to_os inject-error.1.event=none \
    inject-error.1.iotype=write-zeroes inject-error.1.errno=22
blkdebug "ok ok ok ok EIO" inject-error.0.event=none inject-error.0.iotype=discard
blkdebug "EIO EIO EIO EIO EIO" inject-error.0.event=none

script inject-error.0.event=read_aio inject-error.0.sector=3
sees 'S = 512
print(r(2 * S), r(3 * S), r(4 * S), r(0, 8 * S), r(3 * S - 1, 1), r(3 * S + 1, 5))' "ok EIO ok EIO ok ok" "a sector"
stopped

# Only the write after a flush that comes after a read.
script inject-error.0.event=write_aio inject-error.0.state=3 \
    set-state.0.event=read_aio set-state.0.state=1 set-state.0.new_state=2 \
    set-state.1.event=flush_to_disk set-state.1.state=2 set-state.1.new_state=3 \
    set-state.2.event=write_aio set-state.2.state=3 set-state.2.new_state=1
sees 'print(w(0), t(h.flush), w(0), r(0), w(0), t(h.flush), w(0), w(0), r(0), t(h.flush), w(0))' \
    "ok ok ok ok ok ok EIO ok ok ok EIO" "states"
stopped

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
event=write_iao: expected flush_to_disk, flush_to_os, none, pwritev, pwritev_zero, read_aio, write_aio
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
done_testing
