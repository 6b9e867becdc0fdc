# lib.sh - what the tests that drive the real server share.
#
# A test is a shell script that sources this file, calls ok, is, like or
# check once or more, and ends with done_testing.  Its working directory is a
# scratch directory of its own, which is removed at the end, as are the
# servers.  $TOP is the source tree.
#
# The Makefile says which plugin to test (SO) and what watches the server
# (WATCH: asan, tsan, valgrind or nothing).
# shellcheck shell=bash

set -u
# nbdsh must find the Python that has the nbd module.
export PATH="/usr/bin:/bin:/usr/sbin:/sbin:$PATH"
export LC_ALL=C

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# For the modules in tests/lib/.
export PYTHONPATH=$TOP/tests/lib PYTHONDONTWRITEBYTECODE=1
SO=$(realpath "$TOP/${SO:-memory.so}")
WATCH=${WATCH:-}
count=0
failed=0
pids=()

scratch=$(mktemp -d)
cd "$scratch" || exit 1

# Set by random_work: how to do the same again.
again=

# What has to be undone at the end, as shell commands; the last comes first.
at_exit=()

# Servers before the scratch directory: they still write there.
clean_up ()
{
    local i
    # A signal may come twice, as those of timeout(1) do.
    trap '' HUP INT TERM
    for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do
        eval "${at_exit[i]}"
    done
    for i in "${pids[@]}"; do
        end "$i"
    done
    cd / && rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# The server itself is not instrumented, so the sanitizer's library has to be
# there before it.  Only nbdkit gets it, not the clients.
case $WATCH in
asan|tsan)
    # While it starts, the sanitizer looks for swift_demangle and translates
    # the message that there is none, with a lock that the program may hold
    # already: then the server hangs when it exits.  So let there be one.
    "${CC:-cc}" -shared -o swift.so -x c - <<<'char *swift_demangle (void) { return 0; }'
    library () { "${CC:-cc}" -print-file-name="lib$1.so"; }
    ;;&
asan)
    watch=(env "LD_PRELOAD=$(library asan) $(library ubsan) $scratch/swift.so"
           ASAN_OPTIONS=detect_leaks=0:exitcode=99
           UBSAN_OPTIONS=exitcode=99:print_stacktrace=1) ;;
tsan)
    # A clone holds all stripes, more locks than the deadlock detector can count.
    watch=(env "LD_PRELOAD=$(library tsan) $scratch/swift.so"
           "TSAN_OPTIONS=detect_deadlocks=0:exitcode=99:suppressions=$TOP/tests/lib/tsan.supp") ;;
valgrind)
    # nbdkit unloads the plugin before the leaks are counted.
    # Forty connections of sixteen threads.
    watch=(valgrind -q --max-threads=2000 --error-exitcode=99 --leak-check=full
           --show-leak-kinds=definite --errors-for-leak-kinds=definite
           --keep-debuginfo=yes
           "--suppressions=$TOP/tests/lib/valgrind.supp") ;;
*)
    watch=() ;;
esac

# nbdkit_run ARGUMENTS: our plugin in the foreground.
nbdkit_run ()
{
    "${watch[@]}" nbdkit -f "$SO" "$@"
}

# serve ARGUMENTS: start a server; sets $uri, $sock and $server (its process).
# Its messages go to the file log.  Arguments of nbdkit's own may be among
# them, such as --threads=1.
serve ()
{
    export sock=$scratch/sock.${#pids[@]}
    export uri="nbd+unix:///?socket=$sock"
    rm -f server.pid "$sock"
    "${watch[@]}" nbdkit -f -U "$sock" -P "$scratch/server.pid" "$SO" "$@" \
        >log 2>&1 </dev/null &
    server=$!
    pids+=("$server")
    until [ -s server.pid ]; do
        kill -0 "$server" 2>/dev/null || { sed 's/^/# /' log; bail "nbdkit did not start"; }
        sleep 0.02
    done
}

# end PID: ask a process to end, and insist after a minute.
end ()
{
    local i
    kill "$1" 2>/dev/null
    for ((i = 0; i < 3000; i++)); do
        # A zombie has ended too.
        grep -qs '^State:[[:space:]][^ZX]' "/proc/$1/status" || return
        sleep 0.02
    done
    kill -KILL "$1"
}

# stop: end the last server; its exit status, 99 if a watch found something.
stop ()
{
    local status
    end "$server"
    wait "$server"
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
    until [ -e ready ]; do
        kill -0 "$client" 2>/dev/null || { tell <client.out; bail "the client did not start"; }
        sleep 0.02
    done
}

# stopped_at_once NAME: the server ends in good order, and soon, whatever its
# clients do.  There is slack for a busy machine and for the watches.
stopped_at_once ()
{
    local start=$SECONDS limit=5
    [ -z "$WATCH" ] || limit=30
    stop
    is $? 0 "$1: the server ends in good order"
    ok $((SECONDS - start > limit)) "$1: at once" || echo "after $((SECONDS - start)) s" | tell
}

# alive NAME: the server still serves newcomers.
alive ()
{
    check "$1" nbdinfo --size "$uri"
}

# stopped: how every test that started a server should end.
stopped ()
{
    stop
    is $? 0 "the server ends in good order"
}

bail () { echo "Bail out! $*"; exit 1; }

# ok STATUS NAME; passes the status on.
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

# tell: show what went wrong, read from standard input, where prove shows it too.
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
    printf '%s\n' "$1" | grep -Eq -- "$2"
    ok $? "$3" || printf '%s: got:\n%s\nexpected: %s\n' "$3" "$1" "$2" | tell
}

# check NAME COMMAND: the command succeeds, and its output is shown if not.
check ()
{
    local name=$1
    shift
    "$@" >command.out 2>&1
    ok $? "$name" || { echo "$name:"; cat command.out; } | tell
}

# need COMMAND...: skip the whole test where one is missing.
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

# python [CODE]: nbdsh connected to $uri as h, with CODE or what is on standard
# input; prints what that prints.
python ()
{
    nbdsh -u "$uri" -c "${1:--}" 2>&1
}

# random_work NORMAL WATCHED: how much work of a random kind to do: NORMAL, or
# less under valgrind, and in proportion to ROUNDS if that is given.  Exports
# SEED and WORK, and prints how to do the same again.
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
    echo "1..$count"
    [ $failed -eq 0 ] || echo "once more: ${again}bash $0" | tell
    exit $failed
}
