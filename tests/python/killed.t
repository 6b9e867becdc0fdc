#!/usr/bin/env bash
# When a test is killed, its disk goes at once, even if a client is still connected.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/helper.sh"
need python3 pgrep

# killed SIGNAL NAME CODE: a program with a disk d is killed by the signal while it
# waits, after it has run CODE.
killed ()
{
    rm -f ready
    python3 -c "
import signal, socket, time
from nbdkit_memory import Disk
# A shell lets what it starts in the background ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Disk('1M') as d:
    $3
    open('ready', 'w').write(str(d.pid))
    time.sleep(1000)" 2>stderr &
    client=$!
    await_from $client "the program" [ -s ready ]
    kill "-$1" $client
    wait $client 2>/dev/null
    # shellcheck disable=SC2317,SC2329 # called through await
    gone () { ! running "$(cat ready)" && [ -z "$(find . -name 'nbdkit-memory-*')" ]; }
    await gone
    nothing_left "$2"
}

killed KILL "killed" pass
killed TERM "ended by a signal" pass
killed INT "interrupted" pass

# Somebody else's client, which does nothing but stay.
mkfifo uri
python3 -c "
import socket, time
s = socket.socket(socket.AF_UNIX)
s.connect(open('uri').read())
s.recv(1)
open('connected', 'w').write('yes')
time.sleep(1000)" &
stays=$!
pids+=("$stays")
killed KILL "killed, with a client that stays" "
    open('uri', 'w').write(d.socket)
    import os
    while not os.path.exists('connected'): time.sleep(.01)"
check "the client was there" running $stays
done_testing
