-- Stands, after entry.lua, before the scripts that need it.

-- A file's finished ranges behind a hole, as text: "30-40 50-60", sorted, neither touching nor overlapping.
local function parse_ranges(text)
  local ranges = {}
  for start, finish in string.gmatch(text or '', '(%d+)-(%d+)') do
    ranges[#ranges + 1] = {tonumber(start), tonumber(finish)}
  end
  return ranges
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
    entry = id,
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

-- How many entries all lanes have.
local function count_entries(frames)
  local count = 0
  for lane = 0, LANES - 1 do
    count = count + redis.call('XLEN', lane_key(frames, lane))
  end
  return count
end

-- The frame of a member is gone from its lane, and no living consumer holds a copy that it may yet acknowledge.
local function is_lost(frames, group, alive_prefix, entry)
  local id
  frames, id = find_entry(frames, entry)
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
