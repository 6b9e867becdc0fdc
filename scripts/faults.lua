-- Sector 0 starts as an MBR; the second MiB can't be read; the third flush fails; secrets can't be written.
-- nbdkit -U - ./memory.so size=1G hooks=scripts/faults.lua --run 'qemu-io -f raw -c "read 1M 4k" $uri'

disk:write(510, "\x55\xaa")
fault { op = "read", offset = "1M", count = "1M", error = "EIO" }
fault { op = "flush", nth = 3, error = "EIO" }

function on.write(req)
  if req.data:find("secret", 1, true) then fail "EPERM" end
end
