-- stale-reads: some reads get old data, as from a replica that lags, or a cache that was not told.
-- nbdkit ./memory.so size=1G hooks=scripts/stale-reads.lua p=1% every=1000
-- p=: each read gets it with this probability (1% without it).  What it gets is what the disk held before the first
-- write, zero or trim, or with every=N, before the last Nth one: so it is at most N changes old.
-- With control=SOCKET, memctl SOCKET 'stale()' makes what the disk holds now what later reads get.
-- It is also there as a snapshot, the export "stale-reads".

local params = require "lib.params"
local NAME <const>, CHANGES <const> = "stale-reads", { "write", "zero", "trim" }
local p, every = params.rate("p", 0.01), params.number("every", nil, 1)

function stale()
  if pcall(disk.get, disk, NAME) then disk:drop(NAME) end
  disk:snapshot(NAME)
end

fault { op = "read", name = NAME, p = p, stale = NAME }
fault { op = CHANGES, name = NAME .. ", the first change", nth = 1, call = stale, optional = true }
if every then
  fault { op = CHANGES, name = NAME .. ", every=", every = every, call = stale, optional = true }
end
