-- Tells that a consumer lives.    KEYS: liveness key    ARGV: milliseconds
-- PEXPIRE comes first: it is allowed when Redis is out of memory, and so is then SET.
if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 0 then
  redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
end
return 1
