# helper.sh - for tests of what helps others to write tests (python/, shell/, examples/):
# source it after lib.sh.
# shellcheck shell=bash
# lib.sh sets SO and scratch.
# shellcheck disable=SC2154

[ -z "$WATCH" ] || skip_all "it starts servers of its own, unwatched"
export NBDKIT_MEMORY_SO=$SO MEMCTL=$TOP/memctl TMPDIR=$scratch
export PYTHONPATH=$TOP/python:$PYTHONPATH

# says NAME EXPECTED: the Python program on standard input prints this.
says ()
{
    python3 - >got 2>&1
    is "$(cat got)" "$2" "$1"
}

# pytest ARGUMENTS: into the file report; with the fixture.
pytest ()
{
    python3 -m pytest -p pytest_nbdkit_memory -p no:cacheprovider "$@" >report 2>&1
}

need_pytest ()
{
    python3 -c "import pytest" 2>/dev/null || skip_all "pytest is not installed"
}

left () { pgrep -af "$scratch"; find . -name 'nbdkit-memory-*' -o -name 'tmp.*'; }

# nothing_left NAME: neither a process nor a file of a disk.  The shell that clears up ends
# a little after the server.
nothing_left ()
{
    local i
    for ((i = 0; i < 500; i++)); do
        [ -z "$(left)" ] && break
        sleep 0.02
    done
    is "$(left)" "" "$1"
}
