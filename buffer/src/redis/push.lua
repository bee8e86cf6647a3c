-- Takes one frame if it begins where the file's last one ended.
-- KEYS: frames, pushed, indexed, bytes, waiting, shares, settled    ARGV: file, start, end, safe, bytes_max, frame
-- Answers an integer: taken, and this much waits now; a string or nil: the offset that was expected, or unknown;
-- {bytes}: full.
-- Offsets are compared as text: they are written by shippers only, always in the same form.

-- Above this part of the bound, a source may not hold more than its share.
local FAIR_ABOVE = 0.75

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
local id = redis.call('XADD', KEYS[1], '*', 'file', file, 'start', start, 'end', finish, 'frame', ARGV[6])
redis.call('ZADD', KEYS[5], 0, place(file, start) .. ' ' .. finish .. ' ' .. id .. ' ' .. length)
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
