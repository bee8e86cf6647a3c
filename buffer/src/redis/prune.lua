-- Forgets files that have been indexed whole for long. Should one go on after all, its shipper says from where, as with
-- a file that is new; should the shipper have lost that too, it sends the file again, and the ids show it.
-- KEYS: pushed, indexed, waiting, done, settled    ARGV: seconds, count
-- Answers how many were forgotten.
local now = tonumber(redis.call('TIME')[1])
local old = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, ARGV[2])
local pruned = 0
for _, file in ipairs(old) do
  local pushed = tonumber(redis.call('HGET', KEYS[1], file) or '0')
  local indexed = tonumber(redis.call('HGET', KEYS[2], file) or '0')
  if pushed <= indexed and #members(KEYS[3], file, 1) == 0 then
    redis.call('HDEL', KEYS[1], file)
    redis.call('HDEL', KEYS[2], file)
    redis.call('HDEL', KEYS[4], file)
    redis.call('ZREM', KEYS[5], file)
    pruned = pruned + 1
  else
    -- Looked at again when as much time has passed once more.
    redis.call('ZADD', KEYS[5], now, file)
  end
end
return pruned
