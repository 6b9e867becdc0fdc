-- Sector 0 starts as an MBR; reads of the second MiB are bad; secrets can't be written.
-- nbdkit ./memory.so size=1G hooks=scripts/faults.lua

disk:write(510, "\x55\xaa")

function on.read(req)
  if req.offset < 2 << 20 and req.offset + req.count > 1 << 20 then fail "EIO" end
end

function on.write(req)
  if req.data:find("secret", 1, true) then fail "EPERM" end
end
