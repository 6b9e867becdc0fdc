#!/usr/bin/env bash
# scripts/nbdkit-error.lua: which operations fail, how often, with which error.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}" control=ctl.sock
sees 'got = [w(i * 512) for i in range(2000)]
print(140 < got.count("ENOSPC") < 260, set(got) == {"ok", "ENOSPC"})
print({r(i * 512) for i in range(2000)}, t(h.zero, 512, 0), t(h.flush))
ctl("inject(false)")
print({w(i * 512) for i in range(2000)})
ctl("inject(true)")
print("ENOSPC" in [w(i * 512) for i in range(2000)])
for arg in "", "[[no]]", "0": print(ctl("inject(%s)" % arg))
print("ENOSPC" in [w(i * 512) for i in range(2000)])' "True True
{'ok'} ok ok
{'ok'}
True
inject=nil: expected true or false
inject=no: expected true or false
inject=0: expected true or false
True" "the rate of one operation, and the trigger"
stopped

all='print(r(0), w(0), t(h.trim, 512, 0), t(h.zero, 512, 0), t(h.cache, 512, 0),
      t(h.block_status, 512, 0, lambda *a: 0), t(h.flush))'
sees_all ()
{
    script "${@:2}"
    nbdsh --base-allocation -u "$uri" -c "$sees$all" >got 2>&1
    is "$(cat got)" "$1" "${*:2}"
    stop
}
sees_all "EIO EIO EIO EIO EIO EIO ok" error-rate=100%
sees_all "EIO EPERM ok EIO EIO ENOMEM ok" error-rate=1 error-pwrite=EPERM error-extents=ENOMEM error-trim-rate=0
sees_all "ok ok ok ok ok ok ok" error-rate=1 inject=false

serve size=1M hooks=scripts/nbdkit-error.lua error-rate=1 error-trim=EPERM error-trim-rate=1
sees 'print(w(0), t(h.trim, 512, 0))' "EIO EPERM" "only some operations"
stopped
no_complaints
for given in error error-pread; do
    serve size=1M hooks=scripts/nbdkit-error.lua $given=EPERM
    sees 'print(r(0))' ok "$given= without a rate does nothing, as in nbdkit"
    like "$(cat log)" "^nbdkit-error.lua: $given=EPERM does nothing without $given-rate=$" "and says so"
    stop
done
serve size=1M hooks=scripts/nbdkit-error.lua error=EPERM error-pread-rate=1
sees 'print(r(0), w(0))' "EPERM ok" "error= with the rate of one operation"
stopped
is "$(cat log)" "" "there is nothing to say"

refused 'error=EFOO: expected EPERM, EIO' error=EFOO
refused 'error-pread=EDOM: expected EPERM, EIO' error-pread=EDOM
refused 'error-rate=x: expected a probability' error-rate=x
refused 'error-zero-rate=101%: expected a probability' error-zero-rate=101%
for rate in 1: 1:abc 1:2:100 10%% 0x1 1:0 nan; do
    refused "error-rate=$rate: expected a probability" error-rate=$rate
done
refused 'inject=maybe: expected true or false' inject=maybe
refused 'error-read-rate=1: .*did you mean error-pread-rate' error-read-rate=1
for p in 1: 1:abc 1:2:100 10%%; do
    refused "error-rate=$p: expected a probability" error-rate=$p
done
script error-rate=1/1
sees "print(r(0), w(0))" "EIO EIO" "a rate of 1/1"
stopped
done_testing
