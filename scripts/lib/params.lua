-- For scripts, not for hooks=: local params = require "lib.params".  params.time("delay-open", 0) is that parameter in
-- seconds, or 0 if there is none.  A wrong value is an error that names the parameter and what is expected.
-- params.of(table) has the same functions for the values of a table that memctl has passed.  If a string of the known
-- keys, such as "a b", follows the table, other keys are errors.  params.list "file" is a list of the texts of all
-- file= on the command line, of which there may be any number.

local errnos = { EPERM = 1, EIO = 1, ENOMEM = 1, EINVAL = 1, ENOSPC = 1, ESHUTDOWN = 1 }

local function of(source, known)
  local params = {}
  if known then
    local list = known:gsub(" ", ", ")
    if type(source) ~= "table" then error(("expected a table of %s, got %s"):format(list, source), 0) end
    for key in pairs(source) do
      if not (" " .. known .. " "):find(" " .. tostring(key) .. " ", 1, true) then
        error(("there is no %s; expected %s"):format(key, list), 0)
      end
    end
  end

  -- A function that reads a value with READ, which returns nil, or raises an error, if the value is wrong.
  local function reader(expected, read)
    return function(name, default)
      local value = source[name]
      if value == nil then return default end
      local ok, result = pcall(read, tostring(value))
      if not ok or result == nil then error(("%s=%s: expected %s"):format(name, value, expected), 0) end
      return result
    end
  end

  -- A value that is a key of CHOICES becomes what stands there.
  function params.choice(name, choices, default)
    local names = {}
    for key in pairs(choices) do names[#names + 1] = key end
    table.sort(names)
    return reader(table.concat(names, ", "), function(s) return choices[s] end)(name, default)
  end

  -- A whole number from LEAST to MOST, which counts UNIT.
  function params.number(name, default, least, most, unit)
    least, most = least or 0, most or math.maxinteger
    local expected = "a whole number " .. (unit and "of " .. unit .. " " or "") .. "from " .. least
      .. (most < math.maxinteger and " to " .. most or " on")
    return reader(expected, function(s)
      local n = math.tointeger(tonumber(s))
      return n >= least and n <= most and n or nil
    end)(name, default)
  end

  -- The plugin's own readers of what users write.
  params.bytes = reader("bytes, such as 512 or 4K", bytes)
  params.time = reader("a time, such as 2 or 50ms", seconds)
  params.rate = reader("a probability, such as 0.01, 1% or 1:100", probability)

  params.flag = reader("true or false", boolean)
  params.errno = reader("EPERM, EIO, ENOMEM, EINVAL, ENOSPC or ESHUTDOWN", function(s) return errnos[s] and s end)

  return params
end

local params = of(param)
params.of, params.list = of, function(name) return param(name) end
return params
