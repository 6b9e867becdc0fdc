#!/usr/bin/env bash
# Slips on the command line and in scripts are errors that say what was meant.
. "$(dirname "$0")/../lib/lib.sh"

# hinted MESSAGE PARAMETER...: the start fails, with this message alone.
hinted ()
{
    local expected=$1
    shift
    is "$(timeout 60 "${watch[@]}" nbdkit -f -U sock "$SO" "$@" 2>&1 </dev/null)" "nbdkit: error: $expected" "refused: $*"
}
quotes="put all of lua= in quotes, as in lua='fault { op = \"read\", error = \"EIO\" }'"
cp -r "$TOP/scripts" .
echo 'print "hello"' >script
mkdir fault

# A script that is no script.
hinted "lua=scripts/faults.lua: that is the name of a file; a script in a file is hooks=scripts/faults.lua" 1M lua=scripts/faults.lua
hinted "lua=missing.lua: that is the name of a file; a script in a file is hooks=missing.lua" 1M lua=missing.lua
hinted "lua=script: that is the name of a file; a script in a file is hooks=script" 1M lua=script
hinted "scripts/faults.lua: a script is given as hooks=scripts/faults.lua" 1M scripts/faults.lua
hinted "scripts/faults.lua: a script is given as hooks=scripts/faults.lua" scripts/faults.lua size=1M

# What shells leave without quotes.
hinted "size={: expected a number of bytes; if this belongs to lua=, put all of that in quotes: lua='fault { op = \"read\", error = \"EIO\" }'" \
    1M lua=fault "{" op = read, error = EIO "}"
hinted "lua:1: syntax error near <eof>; $quotes" 1M lua=fault op=read
hinted "lua=faultop=read: the shell took the braces away; $quotes" 1M lua=faultop=read lua=faulterror=EIO
hinted "lua:1: fault: op is missing, such as op = \"write\" (in quotes)" 1M lua='fault{op=read}'

# What is right stays right, also where it looks like that.
if can_run; then
    is "$(nbdkit_run -U - 1M lua='faults=3' lua='script=1' lua='faultop = 3' lua='print(faults, script, faultop)' --run true 2>&1)" "3	1	3" "globals"
fi
hinted "size=x: expected a number of bytes up to 2^63-1, such as 512, 64K, 1M or 10G" x
hinted "lua:1: syntax error near 'y'" 1M lua='x y'
hinted "lua:1: unexpected symbol near <eof>" 1M lua='x = '

# The size of the disk.
for call in 'write((1 << 20) + 1, "x")' 'zero(1 << 21, 1)' 'read((1 << 20) + 1, 0)' 'random(2 << 20, 1)'; do
    hinted "lua:1: bad argument #1 to '${call%%(*}' (reaches past the end of the disk, which has 1048576 bytes)" 1M lua="disk:$call"
done
hinted "lua:1: bad argument #2 to 'write' (reaches past the end of the disk, which has 1048576 bytes)" 1M lua='disk:write((1 << 20) - 1, "xx")'

# Objects of scripts.
hinted "lua:1: dust has no 'enabel'; did you mean 'enable'?" 1M hooks=scripts/dm-dust.lua lua='dust.enabel()'
hinted "lua:1: blkdebug has no 'brak_at'; did you mean 'break_at'?" 1M hooks=scripts/blkdebug.lua lua='blkdebug.brak_at("flush_to_os", "A")'
hinted "lua:1: pool has no 'size', but grow, status" 1M hooks=scripts/thin-pool.lua pool=1M lua='print(pool.size)'
if can_run; then
    is "$(nbdkit_run -U - 1M lua='local o = object("o", { a = 1, [2] = 3 }) o.b = o.a print(o.b, pcall(function() return o.c end), pcall(object, "o"))' --run true 2>&1)" \
    "1	false	false	bad argument #2 to 'object' (table expected, got no value)" "what an object has, and may get"
fi
done_testing
