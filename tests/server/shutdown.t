#!/usr/bin/env bash
# The server ends when it is told to, whatever its clients do, and clients that
# vanish or talk nonsense do not harm others.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Each time the server has a minute (stop), then it is killed.  nbdkit, whatever
# the plugin, waits for idle clients to go, but not for those at work.
serve size=1G
stop
is $? 0 "ends without clients"

# clients CODE: ten connections in the background; CODE uses them, in a list
# called all.  Returns when they are there.
clients ()
{
    rm -f ready
    # Not the function python: $! must be the process itself.
    nbdsh -u "$uri" -c "
import os, signal
signal.alarm(600)
all = [nbd.NBD() for _ in range(10)]
for each in all:
    each.connect_uri(os.environ['uri'])
def ready():
    open('ready', 'w').close()
$1" >client.out 2>&1 &
    clients=$!
    at_exit+=("end $clients")
    await_from "$clients" "the clients" [ -e ready ]
}

serve size=1G
clients '
ready()
signal.pause()
'
kill "$server"
end "$clients"
stop
is $? 0 "ends with idle clients, when they go"

serve size=1G
clients '
data = bytearray(os.urandom(1 << 20))
try:
    n = 0
    while True:
        for each in all:
            while each.aio_in_flight() > 4:
                each.poll(-1)
            each.aio_pwrite(nbd.Buffer.from_bytearray(data), n % 1024 << 20)
            each.aio_trim(1 << 20, (n + 500) % 1024 << 20)
            n += 1
        if n == 100:
            ready()
except nbd.Error:
    pass
'
stop
is $? 0 "ends with clients at work"
wait "$clients"
is "$(grep Traceback client.out)" "" "the clients noticed"

serve size=1G
clients '
for each in all:
    for i in range(16):
        each.aio_pread(nbd.Buffer(1 << 22), i << 22)
ready()
signal.pause()
'
kill "$server"
end "$clients"
stop
is $? 0 "ends with clients that ask and do not listen, when they go"

serve size=1G
clients '
import raw_nbd
for i in range(10):
    all.append(raw_nbd.Raw(os.environ["sock"]))
    all[-1].send(all[-1].header(raw_nbd.WRITE, 0, 1 << 20) + b"only this")
ready()
signal.pause()
'
kill "$server"
end "$clients"
stop
is $? 0 "ends with clients that stopped in the middle of a request, when they go"

# Clients that vanish or talk nonsense.  Another client works all the time.
serve size=1G
python - >out <<'PY'
import os, random, socket, struct
from raw_nbd import *
path = os.environ["sock"]
h.pwrite(b"untouched", 1 << 20)

def say(name, *messages, handshake=True, answers=0):
    if handshake:
        client = Raw(path)
        sock = client.socket
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
    try:
        for message in messages:
            sock.sendall(message)
        if answers:
            sock.recv(answers)
    except OSError:
        pass
    sock.close()
    if h.pread(9, 1 << 20) != b"untouched":
        print("after", name, "another client reads something else")

def header(*what):
    return Raw.header(None, *what)

say("nothing at all", handshake=False)
say("an end after the handshake")
say("garbage in place of a handshake", random.randbytes(5000), handshake=False)
say("wrong flags", b"\xff" * 4, handshake=False)
flags = struct.pack(">I", 3)
say("half an option", flags, b"IHAVE", handshake=False)
say("an option of nearly 4 GiB", flags,
    b"IHAVEOPT" + struct.pack(">II", 7, 0xffffffff), bytes(10000), handshake=False)
say("an option that nobody knows", flags,
    b"IHAVEOPT" + struct.pack(">II", 12345, 4) + b"data", handshake=False, answers=18)
say("an export name that is cut off", flags,
    b"IHAVEOPT" + struct.pack(">II", 7, 20) + struct.pack(">I", 1000) + b"x" * 16, handshake=False)
say("half a request", header(READ, 0, 512)[:13])
say("a write without its data", header(WRITE, 0, 1 << 16))
say("a write with half its data", header(WRITE, 0, 1 << 16), bytes(30000))
say("a write of nearly 4 GiB", header(WRITE, 0, 0xffffffff), bytes(100000))
say("garbage in place of a request", random.randbytes(28 * 100))
say("a wrong magic", b"\0" * 28)
say("a reader that does not wait", *[header(READ, i << 20, 1 << 20) for i in range(64)])
say("a writer that does not wait", *[header(WRITE, 0, 4096) + bytes(4096)] * 64)
say("one that trims and goes", header(TRIM, 2 << 20, 0xff000000 >> 4), header(DISC, 0, 0))
for i in range(50):
    say("clients that come and go", header(READ, 0, 1 << 20), header(WRITE, 2 << 20, 1 << 20))
print(h.pread(9, 1 << 20).decode())
PY
is "$(cat out)" untouched "clients that vanish or talk nonsense harm no others"
alive "the server is alive"
stopped
done_testing
