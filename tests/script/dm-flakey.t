#!/usr/bin/env bash
# scripts/dm-flakey.lua: all is well while it is up; what its features say
# happens while it is down.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

all='def all(): print(r(0), w(0), t(h.flush), t(h.zero, 512, 1024), t(h.trim, 512, 1024))
'
serve "${usage[@]}" control=ctl.sock
sees "$all
h.pwrite(b'a' * 512, 0); all()
ctl('flakey(0, 5)')
all(); h.pwrite(b'b' * 512, 0); print(h.pread(1, 0))
ctl('flakey(5000, 1)')
h.pwrite(b'c' * 512, 0); print(h.pread(1, 0), ctl('flakey(0, 0)'))
for call in '0.5, 0.5', '-5, 1', '1', '', '1, true': print(ctl('flakey(' + call + ')'))
h.pwrite(b'd' * 512, 0); print(h.pread(1, 0))" "ok ok ok ok ok
ok ok ok ok ok
bytearray(b'w')
bytearray(b'c') dm-flakey.lua: up_interval= and down_interval= are both 0
up_interval=0.5: expected a whole number of seconds from 0 to 4294967295
up_interval=-5: expected a whole number of seconds from 0 to 4294967295
down_interval=nil: expected a whole number of seconds from 0 to 4294967295
up_interval=nil: expected a whole number of seconds from 0 to 4294967295
down_interval=true: expected a whole number of seconds from 0 to 4294967295
bytearray(b'd')" "up, and down with writes lost"
stopped

script up_interval=5000 down_interval=1 error_reads=true
sees "print(r(0))" ok "always up"
stopped
no_complaints
script down_interval=1 error_writes=true
sees "print(r(0))" ok "always down, but no writes"
stopped
like "$(cat log)" 'fault rule error_writes \(.*\) never fired' "which is pointed out"

down ()
{
    script down_interval=1 "${@:2}"
    sees "$all
all()" "$1" "down ${*:2}"
    stop
}
down "EIO EIO EIO EIO EIO"
down "EIO ok ok ok ok" error_reads=true
down "ok EIO EIO EIO EIO" error_writes=true
down "EIO EIO EIO EIO EIO" error_reads=true error_writes=true

# Both a good and a bad second, twice.
script up_interval=1 down_interval=1
sees 'end, seen = time.monotonic() + 60, [""]
while len(seen) < 6 and time.monotonic() < end:
    now = r(0)
    if now != seen[-1]: seen.append(now)
    time.sleep(.05)
print(*sorted(seen[2:]))' "EIO EIO ok ok" "up and down by the clock"
stopped

# A second begins when it is asked for, whatever the wall clock shows.
script down_interval=5 control=ctl.sock
sees 'while time.time() % 1 < .9: time.sleep(.01)
start = time.monotonic()
print(ctl("flakey(1, 60)"), r(0) == "ok" or time.monotonic() - start >= 1)
while r(0) == "ok": time.sleep(.02)
print(time.monotonic() - start >= 1)' "None True
True" "up for a whole second"
stopped

script down_interval=1 corrupt_bio_byte="32 r 255 0"
sees 'print(h.pread(512, 512) == bytes(31) + b"\xff" + bytes(480), h.pread(31, 0) == bytes(31), w(0))' "True True ok" \
    "corrupt_bio_byte of reads"
stopped
script down_interval=1 control=ctl.sock corrupt_bio_byte="1 w 7 0"
sees 'h.pwrite(b"abc", 512); print(h.pread(3, 512)); ctl("flakey(100, 0)")
h.pwrite(b"abc", 512); print(h.pread(3, 512))' "bytearray(b'\\x07bc')
bytearray(b'abc')" "corrupt_bio_byte of writes"
stopped

# Other features at run time, instead of those that there were.
script down_interval=1 control=ctl.sock
sees "$all
def flakey(*features): print(ctl('flakey(0, 5, {' + ','.join(features) + '})'))
all()
flakey('error_reads=true'); all()
flakey('drop_writes=true'); all(); print(h.pread(1, 0))
flakey('corrupt_bio_byte=\"1 w 7 0\"'); all(); print(h.pread(2, 0))
flakey('corrupt_bio_byte=\"2 r 8 0\"', 'error_writes=true'); all(); print(h.pread(2, 0))
for wrong in 'drop_writes=true,error_writes=true', 'drop_write=true', 'drop_writes=5', 'corrupt_bio_byte=5', 'random_read_corrupt=-1':
    flakey(wrong)
print(ctl('flakey(0, 5, true)')); all()
print(ctl('flakey(5000, 1)')); all()
print(ctl('flakey(0, 1)')); all()
flakey('error_writes=false'); all()
print(ctl('local n = {} for i, r in ipairs(fault.list()) do n[i] = r.name end return n'))" "EIO EIO EIO EIO EIO
None
EIO ok ok ok ok
None
ok ok ok ok ok
bytearray(b'w')
None
ok ok ok ok ok
bytearray(b'\x07w')
None
ok EIO EIO EIO EIO
bytearray(b'\x07\x08')
dm-flakey.lua: drop_writes contradicts error_writes
there is no drop_write; expected error_reads, error_writes, drop_writes, corrupt_bio_byte, random_read_corrupt, random_write_corrupt
drop_writes=5: expected true or false
corrupt_bio_byte=5: expected such as \"32 r 255 0\"
random_read_corrupt=-1: expected a whole number from 0 to 1000000000
expected a table of error_reads, error_writes, drop_writes, corrupt_bio_byte, random_read_corrupt, random_write_corrupt, got true
ok EIO EIO EIO EIO
None
ok ok ok ok ok
None
ok EIO EIO EIO EIO
None
EIO EIO EIO EIO EIO
['down']" "other features at run time"
stopped
no_complaints

bits='def bits(b): return sum(bin(x).count("1") for x in b)
'
script down_interval=1 random_read_corrupt=1000000000 error_writes=true
sees "$bits
print(bits(h.pread(4096, 0)), bits(h.pread(4096, 4096)), w(0))" "1 1 EIO" "random_read_corrupt"
stopped
script down_interval=1 random_write_corrupt=500000000
sees "$bits
for i in range(100): h.pwrite(bytes(512), i * 512)
print(20 < bits(h.pread(51200, 0)) < 80)" "True" "random_write_corrupt"
stopped

refused '.*\(down_intervall: did you mean down_interval\?\)$' down_intervall=1
refused 'dm-flakey.lua: up_interval= and down_interval= are both 0'
refused 'up_interval=x: expected a whole number of seconds' up_interval=x
refused 'corrupt_bio_byte=32 r: expected such as "32 r 255 0"' up_interval=1 corrupt_bio_byte='32 r'
refused 'corrupt_bio_byte=1 w 256 0: expected such' up_interval=1 corrupt_bio_byte='1 w 256 0'
refused 'random_read_corrupt=1e10: expected a whole number from 0 to 1000000000' up_interval=1 random_read_corrupt=1e10
contradict ()
{
    refused "dm-flakey.lua: $1 contradicts $2" up_interval=1 "${@:3}"
}
contradict drop_writes error_writes drop_writes=true error_writes=true
for one in drop_writes error_writes; do
    contradict $one 'corrupt_bio_byte w' $one=on corrupt_bio_byte='1 w 7 0'
    contradict $one random_write_corrupt $one=on random_write_corrupt=5
done
contradict error_reads 'corrupt_bio_byte r' error_reads=on corrupt_bio_byte='1 r 7 0'
contradict error_reads random_read_corrupt error_reads=on random_read_corrupt=5
script down_interval=1 drop_writes=on corrupt_bio_byte='1 r 7 0' random_read_corrupt=1 error_reads=off
sees 'print(w(0), h.pread(1, 0))' "ok bytearray(b'\x07')" "but these do not contradict each other"
stopped

refused 'drop_writes=x: expected true or false' up_interval=1 drop_writes=x
done_testing
