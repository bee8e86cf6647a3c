-- Stands before the scripts that need it; short, because each push pays for it.
--
-- What waits is listed twice: as entries of the stream, and as members of the sorted set `waiting`, all with score 0, so
-- that they are in order of file and start. A foreign hand that deletes entries leaves their members behind, and that is
-- how it is found out.
--
-- A member: file (32 bytes) start (20 digits), then " end id length".

-- What an entry costs Redis beside its frame, measured with MEMORY USAGE: many small frames must not exceed the bound.
local ENTRY_BYTES = 512

-- The part of a member that gives its place. Offsets stay text: a number of Lua holds 53 bits.
local function place(file, start)
  return file .. string.rep('0', 20 - #start) .. start
end

