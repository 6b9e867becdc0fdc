#!/usr/bin/env bash
# What scripts print goes to standard error, because with nbdkit -s standard
# input and output are the client.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Programs that a script starts do not run with the sanitizer.
executed=
[ "$WATCH" = tsan ] || executed=load

cat >chatty.lua <<'LUA'
local function chat(where)
  print(where, 1, nil, true, setmetatable({}, {__tostring = function() return "shown" end}))
  io.write(where, " write\n")
  io.stdout:write(where, " stdout\n")
  io.output():write(where, " output\n")
  io.stderr:write(where, " stderr\n")
  warn(where, " warn")
  print(where, "read", io.read(), io.stdin:read("a"), io.stdin:read("n"))
  if where == param.execute then os.execute "echo executed" end
end
chat "load"
function on.read(req) chat "hook" end
function on.close() chat "close" end
LUA
expected=$(for where in load hook close; do
    printf '%s\t1\tnil\ttrue\tshown\n' $where
    printf "$where %s\n" write stdout output stderr warn
    printf '%s\tread\tnil\t\tnil\n' $where
    [ $where != "$executed" ] || echo executed
done)

serve size=1M hooks=chatty.lua execute="$executed"
python 'h.pread(512, 0); h.shutdown()' >out
stopped
is "$(sed 's/^nbdkit:.*Lua warning: //' log)" "$expected" "all of it arrives"

# The same if the server is a child of the client.
printf '%s\n' "${watch[@]}" nbdkit -s "$SO" size=1M hooks=chatty.lua execute="$executed" >"command"
nbdsh -c '
h.connect_command(open("command").read().split("\n")[:-1])
h.pwrite(b"clean", 0)
print(h.pread(5, 0).decode())
h.shutdown()' >out 2>err
is "$(cat out)" clean "with -s the client is not disturbed"
is "$(grep -c '^hook write' err)" 1 "and the text still arrives"

# Programs that nbdkit --run starts do not run with the sanitizer.
[ "$WATCH" != tsan ] || done_testing

# Other ways to standard input.
for code in 'loadfile()' 'debug.debug()' 'dofile()' 'io.lines()()' 'io.read("a")'; do
    nbdkit_run -U - size=1M lua="
        local ok, v = pcall(function() return $code end)
        if ok and v and v ~= '' then print('got', v) end" --run : <<<"print 'eaten'" >out 2>&1
    is "$(cat out)" "" "$code does nothing with standard input"
done
nbdkit_run -U - size=1M lua='print(io.stdout:close()) print(io.stderr:close()) print(pcall(io.close)) print "still here"' \
    --run : >out 2>&1
is "$(tail -1 out)" "still here" "standard error can't be closed"
done_testing
