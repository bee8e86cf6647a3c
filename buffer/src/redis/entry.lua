-- Stands before the scripts that need it; short, because each push pays for it.
--
-- What waits is listed twice: as entries of the stream, and as members of the sorted set `waiting`, all with score 0, so
-- that they are in order of file and start. A foreign hand that deletes entries leaves their members behind, and that is
-- how it is found out.
--
-- A member: file (32 bytes) start (20 digits), then " end entry length".
--
-- Entries stand in lanes: a stream for each, the first one named `frames`, the others frames:1 to frames:15. An entry is
-- named by its id, and outside of the first lane by "id/lane".

-- What an entry costs Redis beside its frame, measured with MEMORY USAGE: many small frames must not exceed the bound.
local ENTRY_BYTES = 512

-- The same number stands in keys.rs.
local LANES = 16

local function lane_key(frames, lane)
  return lane == 0 and frames or frames .. ':' .. lane
end

-- The stream and the id of an entry.
local function find_entry(frames, name)
  local slash = string.find(name, '/', 1, true)
  if not slash then
    return frames, name
  end
  return lane_key(frames, tonumber(string.sub(name, slash + 1))), string.sub(name, 1, slash - 1)
end

-- The part of a member that gives its place. Offsets stay text: a number of Lua holds 53 bits.
local function place(file, start)
  return file .. string.rep('0', 20 - #start) .. start
end

