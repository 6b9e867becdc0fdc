#!/usr/bin/env bash
# A client that leaves, cleanly or not, flushes nothing and loses nothing.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
import subprocess, sys
fresh()
c = connect()
write(c, "A")
leave(c)
row("W, then the client leaves", "o 1:A")

def killed(code):
    """A client that runs this, and then is killed."""
    was = control("disk:stats().connections")
    p = subprocess.Popen([sys.executable, "-c", "import nbd, os\n"
        "h = nbd.NBD()\nh.connect_unix(os.environ[\"sock\"])\n" + code +
        "\nprint(\"ready\", flush=True)\nimport time\ntime.sleep(1000)"], stdout=subprocess.PIPE, text=True)
    same("the client is ready", p.stdout.readline(), "ready\n")
    numbered(1)
    return p, was
def kill(p, was):
    p.kill()
    p.wait()
    until(lambda: control("disk:stats().connections") <= was)

fresh()
write(h, "B", 1)
kill(*killed("h.pwrite(b\"A\" * 512, 0)"))
row("W, then the client is killed", "o 2:A", "o 1:B")
flush(h)
row("another one flushes", "A", "B")

# One that is killed while its W is in flight: the request ends when the server notices.
fresh()
control(GATES)
control("""gate("write", "last", "after")""")
p, was = killed("h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b\"A\" * 512)), 0)")
until(lambda: control("arrived.last"))
row("a W in flight", "o 1:A")
kill(p, was)
row("its client is killed", "o 1:A")
flush(h)
row("a flush covers it", "A")

fresh()
control("""gate("write", "first", "before")""")
p, was = killed("h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b\"A\" * 512)), 0, flags=nbd.CMD_FLAG_FUA)")
until(lambda: control("arrived.first"))
numbered(-1)
kill(p, was)
row("one killed before its W was applied")
write(h, "B")
row("leaves nothing behind", "o 1:B")

# Connections that only look.
fresh()
write(h, "A")
for i in range(20):
    leave(connect())
row("those that do nothing do nothing", "o 1:A")

# Who leaves a state while others use it, or while its own request runs.
s = state("all")
s.pwrite(b"R" * 512, 512)
was = control("disk:stats().connections")
p, _ = killed("h2 = nbd.NBD()\nh2.set_export_name(\"crash/now/all\")\nh2.connect_unix(os.environ[\"sock\"])\nh2.pwrite(b\"S\" * 512, 1024)")
numbered(-1)
kill(p, was)
same("a state does not go with one of its clients", disk(s), "ARSooooo")
leave(s)
'
stopped
done_testing
