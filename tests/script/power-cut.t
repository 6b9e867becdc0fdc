#!/usr/bin/env bash
# scripts/power-cut.lua: the power is cut at a request, all fails until it is back, and
# then the disk is what survived.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

# The 50th flush fails, with all that came before it; the state that was asked for is
# that of the export, for the same number.
serve "${usage[@]}" control=ctl.sock
sees 'import os
def again(export=""):
    g = nbd.NBD(); g.set_export_name(export); g.connect_unix(os.environ["sock"]); return g
for i in range(49): h.pwrite(b"a" * 512, i * 512); h.flush()
h.pwrite(b"b" * 8192, 1 << 20)
state = again("crash/now/sectors-7").pread(8192, 1 << 20)
print(t(h.flush), r(0), w(0), t(h.flush))
print(h.pread(1, 0) if again().pread(8192, 1 << 20) == state else "other", state.count(b"b") % 512 == 0 < state.count(b"b") < 8192)
print(w(0), t(h.flush), ctl("disk:power_on()"))' "ESHUTDOWN ESHUTDOWN ESHUTDOWN ESHUTDOWN
bytearray(b'a') True
ok ok control:1: disk:power_on: the power is on already" "the usage line: at the 50th flush, until the next client connects"
stopped
no_complaints

# Whoever looks at a snapshot or a state brings no power.
script write-cache=volatile lua='disk:snapshot "old"'
sees 'import os
def again(export=""):
    g = nbd.NBD(); g.set_export_name(export); g.connect_unix(os.environ["sock"]); return g
h.pwrite(b"lost", 0)
print(t(h.flush), again("old").pread(4, 0), again("crash/now/all").pread(4, 0), r(0), again().pread(4, 0))' \
    "ESHUTDOWN bytearray(b'\\x00\\x00\\x00\\x00') bytearray(b'\\x00\\x00\\x00\\x00') ESHUTDOWN bytearray(b'\\x00\\x00\\x00\\x00')" \
    "at the first flush, and nothing survives"
stopped

script write-cache=volatile op=write,zero after=2 state=all back=never control=ctl.sock
sees 'import os
h.pwrite(b"kept", 0)
print(t(h.zero, 512, 512), r(0))
g = nbd.NBD(); g.connect_unix(os.environ["sock"])
print(t(g.pread, 4, 0), ctl("disk:power_on()"), g.pread(4, 0), w(0))' "ESHUTDOWN ESHUTDOWN
ESHUTDOWN None bytearray(b'kept') ok" "back=never: until it is brought back"
stopped

# After a time: the request at which it was cut waits for that, others do not.
script write-cache=volatile back=1s op=any after=2 state=all
sees 'start = time.monotonic()
h.pwrite(b"kept", 0)
print(t(h.flush), time.monotonic() - start >= 1, h.pread(4, 0), w(0))' \
    "ESHUTDOWN True bytearray(b'kept') ok" "back=1s, for a client that stays"
stopped
script write-cache=volatile back=1s op=write control=ctl.sock
sees 'import os
start = time.monotonic()
cut = lambda: ctl("fault.get [[power-cut]].fired") == 1
h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"lost")), 0)
while not cut(): h.poll(10)
# (Where the machine stood still for that time, the power is back already.)
while r(4096, 512) == "ok" and time.monotonic() - start < 1: pass
del h
g = nbd.NBD(); g.connect_unix(os.environ["sock"])
while t(g.pread, 4, 0) == "ESHUTDOWN": time.sleep(.02)
print(time.monotonic() - start >= 1, g.pread(4, 0), t(g.flush))' \
    "True bytearray(b'\\x00\\x00\\x00\\x00') ok" "back=1s, although the client has left"
stopped

# A sector of the write under way is torn, or bad until it is rewritten.
script write-cache=volatile op=write state=all torn=true
sees 'import os
print(t(h.pwrite, b"a" * 512, 0))
g = nbd.NBD(); g.connect_unix(os.environ["sock"])
data = bytes(g.pread(512, 0)); n = data.count(b"a")
print(0 < n < 512, data == b"a" * n + bytes(512 - n))' "ESHUTDOWN
True True" "torn=true"
stopped
script write-cache=volatile op=write state=all bad=true
sees 'import os
print(t(h.pwrite, b"a" * 512, 0))
g = nbd.NBD(); g.connect_unix(os.environ["sock"])
print(t(g.pread, 1, 0), t(g.pwrite, b"b" * 512, 0), t(g.pread, 1, 0))' "ESHUTDOWN
EIO ok bytearray(b'b')" "bad=true"
stopped

refused 'power-cut.lua: needs a volatile cache: start the server with write-cache=volatile'
refused "power-cut.lua: state='most' is no choice: expected none, all" write-cache=volatile state=most
refused "power-cut.lua: op has no 'flsh'; did you mean 'flush'" write-cache=volatile op=flsh
refused "power-cut.lua: op: the list is empty" write-cache=volatile op=
refused "power-cut.lua: cut: does nothing to op 'open'" write-cache=volatile op=open
refused 'after=0: expected a whole number from 1' write-cache=volatile after=0
refused 'back=x: expected a time' write-cache=volatile back=x
refused 'torn=3: expected true or false' write-cache=volatile torn=3
refused 'bad=3: expected true or false' write-cache=volatile bad=3
# Words of its rule, which would do nothing.
refused 'nth=2: no script looks this parameter up' write-cache=volatile nth=2
refused 'cut=all: no script looks this parameter up' write-cache=volatile cut=all
done_testing
