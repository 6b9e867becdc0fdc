#!/usr/bin/env bash
# A request that waits when the power is cut fails at once, and does nothing: in a rule,
# in a hook, or for its turn.

. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

export TOP
serve size=1M write-cache=volatile control=ctl.sock log=faults.json \
    lua='fault { op = "write", offset = 0, count = 512, hang = true, name = "h" }
         fault { op = "write", offset = 512, count = 512, delay = "1000s", name = "d" }
         fault { op = "write", offset = 1024, count = 512, name = "f", when = function()
           sleep(1000)
           return true
         end, delay = 1 }
         local fired = fault.get("h")
         on.write = function(req)
           if req.offset == 1536 then hang() end
           if req.offset == 2048 then fired:wait(1000, 9) end
           if req.offset == 2560 then while true do sleep(0.001) end end
           if req.offset == 3072 then
             req:run()
             while not req:run() do end
           end
         end
         on.flush = function()
           disk:cut("all")
           sleep(0.1)
           disk:power_on()
         end'

is "$(python - <<'END'
import os, subprocess
def ctl(code):
    return subprocess.run([os.environ["TOP"] + "/memctl", "ctl.sock", code], check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()
def write(byte, offset):
    return h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(byte * 512)), offset)
def finished(cookie):
    try:
        return "done" if h.aio_command_completed(cookie) else None
    except nbd.Error as e:
        return e.errno
def end(cookies):
    while cookies:
        h.poll(-1)
        for c in cookies[:]:
            how = finished(c)
            if how:
                print(how)
                cookies.remove(c)
def waiting(n):
    while ctl("disk:stats().write.waiting + disk:stats().read.waiting") != str(n):
        h.poll(0)
cookies = [write(b"x", 0)]
ctl('fault.get("h"):wait(100)')
cookies.append(write(b"y", 512))
ctl('fault.get("d"):wait(100)')
cookies += [write(b"z", n) for n in (1024, 1536, 2048, 2560)]
waiting(6)      # the last one wakes up now and then
ctl('disk:cut("all") disk:power_on()')
end(cookies)

ctl('disk:throttle{bps = 1}')
cookies = [write(b"t", 8192), h.aio_pread(nbd.Buffer(512), 8192), h.aio_pread(nbd.Buffer(512), 0)]
waiting(3)
ctl('disk:cut("all") disk:power_on()')
end(cookies)
ctl('disk:throttle{}')

try:
    h.flush()
except nbd.Error as e:
    print(e.errno, "and the hook that has cut the power goes on")

ctl('fault { op = "write", offset = 3072, cut = "all", times = 1 }')
cookies = [write(b"r", 3072)]
while ctl('disk:stats().power') == "on":
    h.poll(0)
ctl('disk:power_on()')
end(cookies)
print(h.pread(3072, 0) + h.pread(512, 8192) == bytearray(3584))
END
)" "$(printf 'ESHUTDOWN\n%.0s' {1..9})
ESHUTDOWN and the hook that has cut the power goes on
ESHUTDOWN
True" "requests that wait fail, and have written nothing"
ended () { grep -o "\"op\":\"write\",\"offset\":$1,.*\"ended\":\"[^\"]*\"" faults.json | sed 's/.*"ended"://'; }
for offset in 0 512 1024 1536 2048 2560; do
    is "$(ended $offset)" '"power cut"' "the log says why the wait at $offset ended"
done
stopped
done_testing
