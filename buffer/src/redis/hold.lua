-- Sets how long entries count as untouched: 0 renews a claim, the stalled time gives it back.
-- KEYS: frames    ARGV: group, consumer, idle ms, then entries
-- Only entries that the consumer holds: those that others took over since are left alone.
local touched = 0
for i = 4, #ARGV do
  local lane, id = find_entry(KEYS[1], ARGV[i])
  local pending = redis.pcall('XPENDING', lane, ARGV[1], id, id, 1, ARGV[2])
  if not pending.err and #pending == 1 then
    redis.call('XCLAIM', lane, ARGV[1], ARGV[2], 0, id, 'IDLE', ARGV[3], 'JUSTID')
    touched = touched + 1
  end
end
return touched
