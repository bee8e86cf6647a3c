-- Stands before the scripts that need it. What waits is listed twice: as entries of the stream, and as members of the
-- sorted set `waiting`, all with score 0, so that they are in order of file and start. A foreign hand that deletes
-- entries leaves their members behind, and that is how it is found out.
--
-- A member: file (32 bytes) start (20 digits), then " end id length".

-- What an entry costs Redis beside its frame, measured with MEMORY USAGE: many small frames must not exceed the bound.
local ENTRY_BYTES = 512

-- A file's finished ranges behind a hole, as text: "30-40 50-60", sorted, neither touching nor overlapping.
local function parse_ranges(text)
  local ranges = {}
  for start, finish in string.gmatch(text or '', '(%d+)-(%d+)') do
    ranges[#ranges + 1] = {tonumber(start), tonumber(finish)}
  end
  return ranges
end

-- The part of a member that gives its place. Offsets stay text: a number of Lua holds 53 bits.
local function place(file, start)
  return file .. string.rep('0', 20 - #start) .. start
end

-- The members of one file, in order of their starts.
local function members(waiting, file, count)
  return redis.call('ZRANGEBYLEX', waiting, '[' .. file, '(' .. file .. ':', 'LIMIT', 0, count)
end

local function parse_member(text)
  local finish, id, length = string.match(string.sub(text, 53), '^ (%d+) (%S+) (%d+)$')
  return {
    file = string.sub(text, 1, 32),
    start = tonumber(string.sub(text, 33, 52)),
    finish = tonumber(finish),
    id = id,
    length = tonumber(length),
  }
end

-- Takes a frame of `length` bytes off the books.
local function give_back(bytes, shares, source, length)
  redis.call('DECRBY', bytes, length)
  if redis.call('HINCRBY', shares, source, -length - ENTRY_BYTES) <= 0 then
    redis.call('HDEL', shares, source)
  end
end

-- The frame of a member is gone from the stream, and no living consumer holds a copy that it may yet acknowledge.
local function is_lost(frames, group, alive_prefix, id)
  if #redis.call('XRANGE', frames, id, id) > 0 then
    return false
  end
  local pending = redis.pcall('XPENDING', frames, group, id, id, 1)
  if pending.err then
    if not string.find(pending.err, 'NOGROUP', 1, true) then
      error(pending.err)
    end
    return true
  end
  if #pending == 0 then
    return true
  end
  return redis.call('EXISTS', alive_prefix .. pending[1][2]) == 0
end
