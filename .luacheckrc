std = "lua54"
globals = { "on" }
read_globals = { "bytes", "disk", "fail", "hang", "param", "sleep" }
