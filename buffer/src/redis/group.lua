-- Creates the group of each lane at its first entry, so that nothing that was pushed before is passed over.
-- KEYS: frames    ARGV: group
-- XDEL comes first: it is allowed when Redis is out of memory, and so is then XGROUP. A buffer that was filled to the
-- brim before the first worker came could not be drained otherwise.
redis.call('XDEL', KEYS[1], '0-1')
for lane = 0, LANES - 1 do
  local created = redis.pcall('XGROUP', 'CREATE', lane_key(KEYS[1], lane), ARGV[1], '0', 'MKSTREAM')
  if created.err and not string.find(created.err, 'BUSYGROUP', 1, true) then
    return created
  end
end
return 1
