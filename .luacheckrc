std = "lua54"
globals = { "on" }
read_globals = { "disk", "fail" }
