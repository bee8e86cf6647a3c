-- Sets `pushed` of a file back, where it is still what the shipper saw and the stream holds nothing of the file.
-- KEYS: frames, pushed, newest, gaps    ARGV: file, seen, to

-- Whether stream entry id a comes before b.
local function before(a, b)
  local a_time, a_number = string.match(a, '(%d+)-(%d+)')
  local b_time, b_number = string.match(b, '(%d+)-(%d+)')
  a_time, b_time = tonumber(a_time), tonumber(b_time)
  return a_time < b_time or (a_time == b_time and tonumber(a_number) < tonumber(b_number))
end

if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
  return 0
end
local newest = redis.call('HGET', KEYS[3], ARGV[1])
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if first and not (newest and before(newest, first[1])) then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('INCR', KEYS[4])
return 1
