-- What one consumer holds, as Redis sees it.    KEYS: frames    ARGV: group, consumer, count of each lane
-- Answers for each lane where it holds something: lane, the answer of XPENDING.
local held = {}
for lane = 0, LANES - 1 do
  local pending = redis.pcall('XPENDING', lane_key(KEYS[1], lane), ARGV[1], '-', '+', ARGV[3], ARGV[2])
  if pending.err then
    if not string.find(pending.err, 'NOGROUP', 1, true) then
      return pending
    end
  elseif #pending > 0 then
    held[#held + 1] = {lane, pending}
  end
end
return held
