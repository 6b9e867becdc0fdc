std = "lua54"
globals = { "on" }
read_globals = { "chance", "disk", "fail", "fault", "sleep", "hang", "param", "bytes",
                 "seconds", "probability", "boolean", "object", "now", "pattern", "flip" }
-- nbdkit's own Lua plugin calls the script's global functions.
files["bench/stock.lua"].allow_defined_top = true
files["bench/stock.lua"].ignore = { "131" }
-- Functions for memctl are global.
files["scripts"].allow_defined_top = true
files["scripts"].ignore = { "131" }
