-- Takes one frame if it begins where the file's last one ended.
-- KEYS: frames, pushed, indexed, bytes, newest    ARGV: file, start, end, safe, bytes_max, frame
-- Answers 1: taken; a string or nil: the offset that was expected, or unknown; {bytes}: full.
-- Offsets are compared as text: they are written by shippers only, always in the same form.
local file, start, finish, safe = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local pushed = redis.call('HGET', KEYS[2], file)
if (pushed or safe) ~= start then
  return pushed
end

local held = tonumber(redis.call('GET', KEYS[4]) or '0')
if held > 0 and held + #ARGV[6] > tonumber(ARGV[5]) then
  if redis.call('XLEN', KEYS[1]) > 0 then
    return {held}
  end
  -- Somebody emptied the stream without us.
  redis.call('SET', KEYS[4], '0')
end

local id = redis.call('XADD', KEYS[1], '*', 'file', file, 'start', start, 'end', finish, 'frame', ARGV[6])
redis.call('HSET', KEYS[2], file, finish)
redis.call('HSET', KEYS[5], file, id)
redis.call('INCRBY', KEYS[4], #ARGV[6])
if not pushed then
  local indexed = redis.call('HGET', KEYS[3], file)
  if not indexed or tonumber(indexed) < tonumber(safe) then
    redis.call('HSET', KEYS[3], file, safe)
  end
end
return 1
