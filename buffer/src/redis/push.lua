-- Takes one frame if it begins where the file's last one ended.
-- KEYS: frames, pushed, indexed, bytes, waiting, shares, settled, lanes
-- ARGV: file, start, end, safe, bytes_max, frame, service
-- Answers an integer: taken, and this much waits now; a string or nil: the offset that was expected, or unknown;
-- {bytes}: full.
-- Offsets are compared as text: they are written by shippers only, always in the same form.

-- Above this part of the bound, a source may not hold more than its share.
local FAIR_ABOVE = 0.75

-- Services that are remembered: who they are is up to the lines. A service that is forgotten gets another lane.
local SERVICES_MAX = 10000

-- The lane with the fewest entries.
local function shortest_lane()
  local shortest, fewest
  for lane = 0, LANES - 1 do
    local count = redis.call('XLEN', lane_key(KEYS[1], lane))
    if count == 0 then
      return lane
    end
    if not fewest or count < fewest then
      shortest, fewest = lane, count
    end
  end
  return shortest
end

-- A service keeps its lane while its last frame waits, or nothing else is in it. So services that have something waiting
-- have lanes of their own, as far as there are as many.
local function lane_of(service)
  local known = redis.call('HGET', KEYS[8], service)
  if known then
    local lane, last = string.match(known, '^(%d+) (.*)$')
    if redis.call('ZSCORE', KEYS[5], last) or redis.call('XLEN', lane_key(KEYS[1], tonumber(lane))) == 0 then
      return tonumber(lane)
    end
  end
  return shortest_lane()
end

local file, start, finish, safe = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local pushed = redis.call('HGET', KEYS[2], file)
if (pushed or safe) ~= start then
  return pushed
end

local source, length = string.sub(file, 1, 16), #ARGV[6]
local count = redis.call('ZCARD', KEYS[5])
local held = tonumber(redis.call('GET', KEYS[4]) or '0') + count * ENTRY_BYTES
local after, limit = held + length + ENTRY_BYTES, tonumber(ARGV[5])
if count > 0 and after > limit * FAIR_ABOVE then
  local share = tonumber(redis.call('HGET', KEYS[6], source) or '0')
  -- A source that holds nothing yet finds room up to the bound itself.
  local sources = redis.call('HLEN', KEYS[6])
  if after > limit or (share > 0 and share + length + ENTRY_BYTES > limit / sources and sources > 1) then
    return {held}
  end
end

-- The first write: it is the one that fails when Redis is out of memory.
local service = ARGV[7]
local lane = lane_of(service)
local entry = redis.call('XADD', lane_key(KEYS[1], lane), '*', 'file', file, 'start', start, 'end', finish,
  'frame', ARGV[6], 'service', service)
if lane > 0 then
  entry = entry .. '/' .. lane
end
local member = place(file, start) .. ' ' .. finish .. ' ' .. entry .. ' ' .. length
redis.call('ZADD', KEYS[5], 0, member)
if redis.call('HLEN', KEYS[8]) > SERVICES_MAX then
  -- Some of them: names and lanes in turn, of which the latter are no names.
  local some = redis.call('HSCAN', KEYS[8], '0', 'COUNT', 1000)[2]
  if #some > 0 then
    redis.call('HDEL', KEYS[8], unpack(some))
  end
end
redis.call('HSET', KEYS[8], service, lane .. ' ' .. member)
redis.call('HSET', KEYS[2], file, finish)
redis.call('INCRBY', KEYS[4], length)
redis.call('HINCRBY', KEYS[6], source, length + ENTRY_BYTES)
if not pushed then
  redis.call('ZADD', KEYS[7], redis.call('TIME')[1], file)
  local indexed = redis.call('HGET', KEYS[3], file)
  if not indexed or tonumber(indexed) < tonumber(safe) then
    redis.call('HSET', KEYS[3], file, safe)
  end
end
return after
