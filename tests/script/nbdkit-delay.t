#!/usr/bin/env bash
# scripts/nbdkit-delay.lua: each operation takes at least as long as it should.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

time='def took(least, f, *a):
    start = time.monotonic()
    try: f(*a)
    except nbd.Error as e: return e.errno
    return time.monotonic() - start >= least
def connect():
    nbd.NBD().connect_uri(h.get_uri())
'
serve "${usage[@]}"
sees "$time
print(took(.05, h.pread, 512, 0), took(.1, h.pwrite, bytes(512), 0), took(.1, h.trim, 512, 0), took(.1, h.zero, 512, 0))" \
    "True True True True" "the usage line"
stopped

script delay-read=20ms wdelay=20ms delay-zero=60ms \
    delay-cache=20ms delay-open=50ms delay-fast-zero=false
sees "$time
print(took(.02, h.pread, 512, 0), took(.02, h.pwrite, bytes(512), 0), took(.02, h.trim, 512, 0),
      took(.06, h.zero, 512, 0), took(.02, h.cache, 512, 0), took(.05, connect),
      took(0, h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO))" \
    "True True True True True True ENOTSUP" "each operation"
stopped

script delay-extents=50ms
nbdsh --base-allocation -u "$uri" -c "$sees$time
print(took(.05, h.block_status, 512, 0, lambda *a: 0), t(h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO))" >got
is "$(cat got)" "True ok" "extents; a fast zero"
stopped

serve size=1M hooks=scripts/nbdkit-delay.lua wdelay=20ms delay-trim=10ms log=delays
sees 'print(t(h.zero, 512, 0), t(h.trim, 512, 0))' "ok ok" "one of those that wdelay= is for"
stopped
no_complaints
is "$(sed -n 's/.*"rule":"\([^"]*\)",.*"op".*"delay":\(.*\)}}/\1 \2/p' delays)" "wdelay 0.02
delay-trim 0.01" "rules have the names of the parameters"
serve size=1M hooks=scripts/nbdkit-delay.lua rdelay=20ms wdelay=20ms
sees 'print(r(0))' ok "no writes"
stopped
like "$(cat log)" 'fault rule wdelay \(.*\) never fired' "which is pointed out"

refused 'rdelay=soon: expected a time, such as' rdelay=soon
refused 'delay-open=-1: expected a time' delay-open=-1
refused 'delay-read=1.2.3: expected a time' delay-read=1.2.3
refused 'delay-read=1h: expected a time' delay-read=1h
for word in f F no N off 0; do
    script delay-fast-zero=$word
    sees 'print(t(h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO))' ENOTSUP "delay-fast-zero=$word"
    stopped
done
for word in T y on; do
    script delay-fast-zero=$word
    sees 'print(t(h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO))' ok "delay-fast-zero=$word"
    stopped
done
refused 'delay-fast-zero=2: expected true or false' delay-fast-zero=2
refused 'delay-reed=1: .*did you mean delay-read' delay-reed=1
done_testing
