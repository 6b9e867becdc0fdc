-- null_blk: sectors that can be neither read nor written.
-- nbdkit ./memory.so size=1G hooks=scripts/null_blk.lua badblocks=+16-31,+64-64 badblocks_partial_io=1
-- badblocks=+FIRST-LAST makes sectors of 512 bytes bad, -FIRST-LAST good.  badblocks_once=1: a range fails once and is
-- good then.  badblocks_partial_io=1: what comes before the first bad sector is done, and then the request fails (NBD
-- can't say how much was done, and a read that fails gives no data).
-- With control=SOCKET, memctl SOCKET 'badblocks "-16-19"' changes them; both ways they are listed.

local params = require "lib.params"
local once, partial = params.flag("badblocks_once", false), params.flag("badblocks_partial_io", false)
local ranges = {}       -- { first sector, last sector, optional = it is left of another, rule = ... }, in order

local function meet(req)
  local i = 1
  while ranges[i] and ranges[i][2] * 512 + 511 < req.offset do i = i + 1 end
  local count = ranges[i] and ranges[i][1] * 512 - req.offset or req.count
  if count >= req.count then return end         -- a request before this one has made it good
  if once then table.remove(ranges, i).rule:remove() end
  if partial and count > 0 and req.export == "" then
    if req.op == "write" then disk:write(req.offset, req.data:sub(1, count))
    elseif req.op ~= "read" then disk:zero(req.offset, count) end
  end
  fail "EIO"
end

function badblocks(changes)
  local new, gone, list = ranges, {}, {}
  for change in (changes == nil and "" or tostring(changes)):gmatch "[^,]+" do
    local sign, first, last = change:match "^([+-])(%d+)-(%d+)$"
    first, last = math.tointeger(tonumber(first)), math.tointeger(tonumber(last))
    if not first or not last or first > last or last > (disk.size - 1) // 512 then
      error("badblocks=" .. tostring(changes) .. ": expected +FIRST-LAST or -FIRST-LAST, in sectors of the disk", 0)
    end
    local old = new
    new = { sign == "+" and { first, last } or nil }
    for _, range in ipairs(old) do
      local apart = range[2] < first or range[1] > last
      table.insert(apart and new or gone, range)
      if not apart and range[1] < first then new[#new + 1] = { range[1], first - 1, optional = true } end
      if not apart and range[2] > last then new[#new + 1] = { last + 1, range[2], optional = true } end
    end
    table.sort(new, function(a, b) return a[1] < b[1] end)
  end
  for _, range in ipairs(gone) do range.rule = range.rule and range.rule:remove() end
  for i, range in ipairs(new) do
    list[i] = ("+%d-%d"):format(range[1], range[2])
    range.rule = range.rule or fault {
      op = { "read", "write", "zero", "trim", "cache" }, name = "badblocks " .. list[i], optional = range.optional,
      offset = range[1] * 512, count = (range[2] - range[1] + 1) * 512, call = meet }
  end
  ranges = new
  return list
end
badblocks(param.badblocks)
