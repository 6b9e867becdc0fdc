-- persist: the disk is what a file holds at the start, and the file is what the disk holds at the end.
-- nbdkit ./memory.so size=1G hooks=scripts/persist.lua file=disk.img
-- Without such a file the disk is what other scripts make it.  A file of another size than the disk is an error.  At
-- the end, when the last client has left, the file is replaced as a whole (disk:save), so that a crash leaves what was
-- there at the start.  (Not together with image.lua, which has a file= too: use lua='disk:load "NAME"'.)

local file = param.file
if not file then error("persist.lua: say where the disk is kept: file=NAME", 0) end

local there, why, code = io.open(file, "rb")
if there then
  local size = there:seek "end"
  there:close()
  if size ~= disk.size then
    error(("persist.lua: file=%s: has %s bytes, but the disk has %d"):format(file, size, disk.size), 0)
  end
  disk:load(file)
elseif code == 2 then           -- ENOENT: try now whether it can be made, not when there is something to lose
  disk:save(file)
  os.remove(file)
else
  error("persist.lua: file=" .. why, 0)
end

function on.stop() disk:save(file) end
