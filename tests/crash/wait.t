#!/usr/bin/env bash
# A request that waits in a rule when the power is cut fails at once, and does nothing.

. "$(dirname "$0")/../lib/lib.sh"

export TOP
serve size=1M write-cache=volatile control=ctl.sock log=faults.json \
    lua='fault { op = "write", nth = 1, hang = true, name = "h" }
         fault { op = "write", nth = 2, delay = "1000s", name = "d" }'

is "$(python - <<'END'
import os, subprocess
def ctl(code):
    subprocess.run([os.environ["TOP"] + "/memctl", "ctl.sock", code], check=True,
                   stdout=subprocess.DEVNULL)
def write(byte, offset):
    return h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(byte * 512)), offset)
def finished(cookie):
    try:
        return "done" if h.aio_command_completed(cookie) else None
    except nbd.Error as e:
        return e.errno
cookies = [write(b"x", 0)]
ctl('fault.get("h"):wait(100)')
cookies.append(write(b"y", 512))
ctl('fault.get("d"):wait(100)')
ctl('disk:cut("all") disk:power_on()')
while cookies:
    h.poll(-1)
    for c in cookies[:]:
        end = finished(c)
        if end:
            print(end)
            cookies.remove(c)
print(h.pread(1024, 0) == bytearray(1024))
END
)" "ESHUTDOWN
ESHUTDOWN
True" "requests that hang or are delayed fail, and have written nothing"
like "$(cat faults.json)" '"rule":"h".*"ended":"power cut"' "the log says why the hang ended"
like "$(cat faults.json)" '"rule":"d".*"ended":"power cut"' "and the delay"
stopped
done_testing
