# script.sh - what the tests of the ready-made scripts share: source it after
# lib.sh.  tests/script/NAME.t tests scripts/NAME.lua.
# shellcheck shell=bash
# lib.sh sets uri and watch, and tests read usage.
# shellcheck disable=SC2154,SC2034

need nbdsh

script=${0##*/}
script=scripts/${script%.t}.lua
cp -r "$TOP/scripts" "$TOP/LICENSE" .

# The arguments in the script's usage line, for serve, as if it was pasted in the top
# directory.
read -ra usage < <(sed -n "s|^-- nbdkit ./memory.so ||p" "$script")

# script PARAMETER...: a server with the script, of 1 MiB unless they say otherwise.
script ()
{
    serve size=1M "hooks=$script" "$@"
}

# refused REGEX PARAMETER...: the start fails, with this error.
refused ()
{
    local expected=$1
    shift
    like "$(timeout 60 "${watch[@]}" nbdkit -U sock "$SO" size=1M "hooks=$script" "$@" \
                --run true 2>&1 </dev/null)" "error: $expected" "refused: $*"
}

# no_complaints: at its end, the server did not complain of rules that never fired.
no_complaints ()
{
    is "$(grep "never fired" log)" "" "no complaint of a rule that nobody asked for"
}

# sees CODE EXPECTED NAME: a client that runs CODE prints this.  It is Python, in which
#   t(f, ...)              calls f: its result, or "ok", or the name of the error
#   r(offset, count)       a read, "ok" or the name of the error
#   w(offset, count)       the same for a write of "w"
#   ctl(chunk)             runs Lua in a server started with control=ctl.sock
sees ()
{
    nbdsh -u "$uri" -c "$sees
$1" >got 2>&1
    is "$(cat got)" "$2" "$3"
}
sees='
from control import Control
import time
def t(f, *a):
    try: result = f(*a)
    except nbd.Error as e: return e.errno
    return "ok" if result is None else result
def r(offset, count=512):
    result = t(h.pread, count, offset)
    return result if isinstance(result, str) else "ok"
def w(offset, count=512, flags=0):
    return t(h.pwrite, b"w" * count, offset, flags)
def ctl(chunk):
    answer = Control()(chunk)
    return answer.get("error", answer.get("result"))
'
