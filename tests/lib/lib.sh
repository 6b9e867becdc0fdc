# lib.sh - what the tests that drive the real server share.
#
# A test is a shell script that sources this file, calls ok, is, like or
# check at least once, and ends with done_testing.  Its working directory is a
# scratch directory, which is removed at the end, and its servers are stopped.
# $TOP is the source tree.
#
# The Makefile says which plugin to test (SO) and what watches the server
# (WATCH: asan, tsan, valgrind or nothing).
#
# A test depends on no short time: it waits for what must happen (await), and
# measures processor time (stopped_at_once) or order.
# shellcheck shell=bash

set -u
# nbdsh must find the Python that has the nbd module.
export PATH="/usr/bin:/bin:/usr/sbin:/sbin:$PATH"
export LC_ALL=C

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# For the Python modules in tests/lib/.
export PYTHONPATH=$TOP/tests/lib PYTHONDONTWRITEBYTECODE=1
SO=$(realpath "$TOP/${SO:-memory.so}")
WATCH=${WATCH:-}
count=0
failed=0
pids=()

scratch=$(mktemp -d)
cd "$scratch" || exit 1

# Set by random_work: how to repeat the run.
again=

# Shell commands that undo things at the end; the last one runs first.
at_exit=()

# Servers end before the scratch directory goes, because they write there.
clean_up ()
{
    local i
    # A signal may come twice, as those of timeout(1) do.
    trap '' HUP INT TERM
    for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do
        eval "${at_exit[i]}"
    done
    for i in "${pids[@]}"; do
        [ -z "$i" ] || end "$i"
    done
    cd / && rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# nbdkit itself is not instrumented, so the sanitizer's library must be loaded
# before it.  Only nbdkit gets it, not the clients.
case $WATCH in
asan|tsan)
    # While it starts, the sanitizer looks for swift_demangle.  If there is
    # none, it translates the error message under a lock that the program may
    # hold already, and then the server hangs when it exits.  So define one.
    "${CC:-cc}" -shared -o swift.so -x c - <<<'char *swift_demangle (void) { return 0; }'
    library () { "${CC:-cc}" -print-file-name="lib$1.so"; }
    ;;&
asan)
    watch=(env "LD_PRELOAD=$(library asan) $(library ubsan) $scratch/swift.so"
           ASAN_OPTIONS=detect_leaks=0:exitcode=99
           UBSAN_OPTIONS=exitcode=99:print_stacktrace=1) ;;
tsan)
    # A clone takes all stripes: more locks than the deadlock detector can count.
    watch=(env "LD_PRELOAD=$(library tsan) $scratch/swift.so"
           "TSAN_OPTIONS=detect_deadlocks=0:exitcode=99:suppressions=$TOP/tests/lib/tsan.supp") ;;
valgrind)
    # Forty connections have sixteen threads each.  nbdkit unloads the plugin
    # before the leaks are counted.
    watch=(valgrind -q --max-threads=2000 --error-exitcode=99 --leak-check=full
           --show-leak-kinds=definite --errors-for-leak-kinds=definite
           --keep-debuginfo=yes
           "--suppressions=$TOP/tests/lib/valgrind.supp") ;;
*)
    watch=() ;;
esac

# await COMMAND...: wait until the command succeeds.
await ()
{
    until "$@"; do sleep 0.02; done
}

# await_from PID NAME COMMAND...: the same, but bail out if the process ends that
# has to make the command succeed.
await_from ()
{
    local pid=$1 name=$2
    shift 2
    until "$@"; do
        kill -0 "$pid" 2>/dev/null || bail "$name did not start"
        sleep 0.02
    done
}

# nbdkit_run ARGUMENTS: our plugin in the foreground.
nbdkit_run ()
{
    "${watch[@]}" nbdkit -f "$SO" "$@"
}

# can_run: may nbdkit --run start something?  Under TSan that crashes, because what is
# started has the sanitizer's library, too.
can_run () { [ "$WATCH" != tsan ]; }

# serve ARGUMENTS: start a server; sets $uri, $sock and $server (its process).
# Its messages go to the file log.  The arguments may include nbdkit's own,
# such as --threads=1.
serve ()
{
    export sock=$scratch/sock.${#pids[@]}
    export uri="nbd+unix:///?socket=$sock"
    rm -f server.pid "$sock"
    "${watch[@]}" nbdkit -f -U "$sock" -P "$scratch/server.pid" "$SO" "$@" \
        >log 2>&1 </dev/null &
    server=$!
    pids+=("$server")
    await_from "$server" nbdkit [ -s server.pid ]
}

# daemon ARGUMENTS: start a server that goes into the background; sets $uri,
# $sock and $server, too.  Fails with nbdkit's exit status.
daemon ()
{
    export sock=$scratch/sock.${#pids[@]}
    export uri="nbd+unix:///?socket=$sock"
    rm -f daemon.pid "$sock"
    "${watch[@]}" nbdkit -U "$sock" -P "$scratch/daemon.pid" "$SO" "$@" \
        >log 2>&1 </dev/null || return
    # The daemon writes this file, perhaps after its parent has ended.
    await [ -s daemon.pid ]
    server=$(cat daemon.pid)
    pids+=("$server")
}

# running PID: does this process run?  A zombie does not.  Sets $used, the processor
# time that it has used, in clock ticks, as long as it runs.  (In a trap, a return
# without a number gives the status of the command before the trap.)
running ()
{
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != [ZX] ]] || return 1
    used=$((stat[11] + stat[12]))
}

# end PID: ask a process to end, and kill it after a minute or more.
end ()
{
    local i
    kill "$1" 2>/dev/null
    for ((i = 0; i < 3000; i++)); do
        running "$1" || return
        sleep 0.02
    done
    kill -KILL "$1"
}

# forget PID: this process has ended, and its number may soon be that of another one,
# perhaps a thread of another test's server, which clean_up must not end.
forget ()
{
    local i
    for i in "${!pids[@]}"; do
        [ "${pids[i]}" != "$1" ] || pids[i]=
    done
}

# ended PID...: wait until these have ended, and forget their numbers, which others may
# get; the status of the last one.
ended ()
{
    local pid status=0
    for pid; do
        wait "$pid"
        status=$?
        forget "$pid"
    done
    return $status
}

# stop: end the last server; its exit status, 99 if a watch found something.
# Sets $ending, the processor time that it needed to end, in milliseconds.
stop ()
{
    local status before used=0
    running "$server"
    before=$used
    end "$server"
    ending=$(((used - before) * 1000 / $(getconf CLK_TCK)))
    ended "$server"
    status=$?
    [ $status -eq 0 ] || { echo "the server ended with $status:"; cat log; } | tell
    return $status
}

# at_work COMMAND...: run a client in the background, with its output in
# client.out, until it has made the file "ready"; sets $client.
at_work ()
{
    rm -f ready
    "$@" >client.out 2>&1 &
    client=$!
    await_from "$client" "the client" [ -e ready ]
}

# begun N: wait until the server's log has N lines that start with "begun".
begun ()
{
    until [ "$(grep -c ^begun log)" -ge "$1" ]; do sleep 0.02; done
}

# stopped_at_once NAME: the server ends in good order and without more work,
# whatever its clients do.  Neither depends on how busy the machine is: end kills
# a server that waits for something, after a minute at least, and processor time
# shows a server that works on.
stopped_at_once ()
{
    local limit=5000
    [ -z "$WATCH" ] || limit=30000
    stop
    is $? 0 "$1: the server ends in good order"
    ok $((ending > limit)) "$1: at once" || echo "after $ending ms of work" | tell
}

# alive NAME: the server still serves newcomers.
alive ()
{
    check "$1" nbdinfo --size "$uri"
}

# stopped: each test that started a server should end with this.
stopped ()
{
    stop
    is $? 0 "the server ends in good order"
}

# bail REASON: give up; shows what the server and the client said.
bail ()
{
    cat log client.out 2>/dev/null | tell
    echo "Bail out! $*"
    exit 1
}

# ok STATUS NAME: a check that passes if STATUS is 0; returns the status.
ok ()
{
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        failed=1
    fi
    return "$1"
}

# tell: show standard input, which says what went wrong, where prove shows it too.
tell ()
{
    sed 's/^/# /' >&2
}

# is GOT EXPECTED NAME
is ()
{
    [ "$1" = "$2" ]
    ok $? "$3" || printf '%s: got:\n%s\nexpected:\n%s\n' "$3" "$1" "$2" | tell
}

# like TEXT EXTENDED-REGEX NAME
like ()
{
    # To grep, lines of a pattern are alternatives; here they follow each other.
    case $2 in
    *$'\n'*) printf '%s\n' "$1" | grep -Pzq -- "(?m)${2//$'\n'/\\n}" ;;
    *) printf '%s\n' "$1" | grep -Eq -- "$2" ;;
    esac
    ok $? "$3" || printf '%s: got:\n%s\nexpected: %s\n' "$3" "$1" "$2" | tell
}

# check NAME COMMAND: the command succeeds; if it does not, its output is shown.
check ()
{
    local name=$1
    shift
    "$@" >command.out 2>&1
    ok $? "$name" || { echo "$name:"; cat command.out; } | tell
}

# need COMMAND...: skip the whole test if one of these is missing.
need ()
{
    local c
    for c; do
        command -v "$c" >/dev/null || skip_all "$c is not installed"
    done
}

skip_all () { echo "1..0 # SKIP $*"; exit 0; }

# skip NAME REASON: one check that can't be made here.
skip ()
{
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

# python [CODE]: run CODE, or standard input, in nbdsh connected to $uri as h;
# prints the output.
python ()
{
    nbdsh -u "$uri" -c "${1:--}" 2>&1
}

# random_work NORMAL WATCHED: how many random steps to take: NORMAL, or WATCHED
# under valgrind, in proportion to ROUNDS if that is given.  Exports SEED and
# WORK, and prints how to repeat the run.
random_work ()
{
    export SEED=${SEED:-$RANDOM} WORK=$1
    [ "$WATCH" != valgrind ] || WORK=$2
    WORK=$((WORK * ${ROUNDS:-2000} / 2000))
    again="SEED=$SEED ROUNDS=${ROUNDS:-2000} "
    echo "# $again"
}

done_testing ()
{
    [ $count -gt 0 ] || bail "nothing was checked"
    echo "1..$count"
    [ $failed -eq 0 ] || echo "once more: ${again}bash '$0'" | tell
    exit $failed
}
