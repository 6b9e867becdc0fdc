#!/usr/bin/env bash
# require finds modules beside the script, also when a hook calls it after
# nbdkit has gone into the background, where the working directory is /.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

mkdir -p mods/box
cat >mods/main.lua <<'LUA'
assert(require "early" == "early")
function on.read(req)
  req:run()
  req.data = (require "late" .. require "box"):sub(1, req.count)
end
function on.write() require "broken" end
LUA
echo 'return "early"' >mods/early.lua
echo 'return "late"' >mods/late.lua
echo 'return "init"' >mods/box/init.lua
echo 'error "broken module"' >mods/broken.lua

serve size=1M hooks=mods/main.lua
is "$(python 'print(h.pread(8, 0).decode())')" lateinit "in the foreground"
is "$(python 'from clients import *; print(outcome(h.pwrite, b"x", 0), outcome(h.pwrite, b"x", 0))')" "EIO EIO" \
   "a broken module fails the request"
like "$(cat log)" 'broken\.lua:1: broken module' "and says where"
stopped

daemon 1M hooks=mods/main.lua
is "$?" 0 "nbdkit goes into the background"
is "$(readlink "/proc/$server/cwd")" / "its working directory is another"
is "$(python 'print(h.pread(8, 0).decode())')" lateinit "in the background"
end "$server"
done_testing
