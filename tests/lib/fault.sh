# fault.sh - what the tests of the fault rules and their log share: source it
# after lib.sh.
# shellcheck shell=bash
# lib.sh sets TOP and at_exit, and tests use reader.
# shellcheck disable=SC2154,SC2034

# refused REGEX CODE: such a rule stops the start.
refused ()
{
    like "$(nbdkit_run -U refused.sock size=1M lua="$2" --run true 2>&1)" "$1" "refused: $2"
}

# read_log FILE CODE: run Python on the lines of a log about faults, a list of objects
# called lines; all are in the list every.  A line that is not JSON stops it.
read_log () { python3 "$TOP/tests/lib/read_log.py" "$@" 2>&1; }

# read_pipe HOW FILE: read the file "pipe" into FILE in the background, as
# pipe_reader.py says; sets $reader.  Returns when the pipe has a reader.
read_pipe ()
{
    rm -f reading "go on"
    python3 "$TOP/tests/lib/pipe_reader.py" "$1" >"$2" &
    reader=$!
    at_exit+=("kill $reader 2>/dev/null")
    await [ -e reading ]
}
