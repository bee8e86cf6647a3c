-- Puts entries aside for a while: they belong to a consumer that never dies, and count as stalled when it is over.
-- KEYS: frames, liveness of that consumer    ARGV: group, consumer, that consumer, idle ms, liveness ms, then entries
-- PEXPIRE comes first: see live.lua. Only entries that the consumer holds: those that others took over since are left alone.
if redis.call('PEXPIRE', KEYS[2], ARGV[5]) == 0 then
  redis.call('SET', KEYS[2], '', 'PX', ARGV[5])
end
local parked = 0
for i = 6, #ARGV do
  local lane, id = find_entry(KEYS[1], ARGV[i])
  local pending = redis.pcall('XPENDING', lane, ARGV[1], id, id, 1, ARGV[2])
  if not pending.err and #pending == 1 then
    redis.call('XCLAIM', lane, ARGV[1], ARGV[3], 0, id, 'IDLE', ARGV[4], 'RETRYCOUNT', 0, 'JUSTID')
    parked = parked + 1
  end
end
return parked
