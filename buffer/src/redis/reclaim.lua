-- Takes over what dead consumers hold, and what stalled.
-- KEYS: frames    ARGV: group, consumer, prefix of the liveness keys, stalled ms, deliveries together, count,
--       ms after which a dead consumer that holds nothing is forgotten, number of the call
-- Answers {1, entries, deliveries, lanes}: claimed; {0}: nothing to take over; {2}: a suspect waits until this consumer
-- holds nothing.
local group, me, stalled = ARGV[1], ARGV[2], ARGV[4]
local together, count = tonumber(ARGV[5]), tonumber(ARGV[6])

-- How many pending entries of one consumer are looked at in one go: bounds the time of the script.
local SCAN = 256

local holds, ordinary, suspect = 0, {}, nil

-- Notes what may be taken over in one lane.
local function look(lane)
  local key = lane_key(KEYS[1], lane)
  -- In an empty one there are at most consumers to forget, and that has time.
  if redis.call('XLEN', key) == 0 and tonumber(ARGV[8]) % LANES ~= lane then
    return
  end
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, group)
  if consumers.err then
    return
  end
  for _, flat in ipairs(consumers) do
    local consumer = {}
    for i = 1, #flat, 2 do
      consumer[flat[i]] = flat[i + 1]
    end
    local dead = consumer.name ~= me and redis.call('EXISTS', ARGV[3] .. consumer.name) == 0
    if consumer.pending > 0 then
      local free
      if dead then
        free = redis.call('XPENDING', key, group, '-', '+', SCAN, consumer.name)
      else
        free = redis.call('XPENDING', key, group, 'IDLE', stalled, '-', '+', SCAN, consumer.name)
      end
      if consumer.name == me then
        holds = holds + consumer.pending - #free
      end
      for _, pending in ipairs(free) do
        local entry = {lane = lane, id = pending[1], delivered = pending[4]}
        if entry.delivered < together then
          ordinary[#ordinary + 1] = entry
        else
          suspect = suspect or entry
        end
      end
    elseif dead and consumer.idle >= tonumber(ARGV[7]) then
      redis.call('XGROUP', 'DELCONSUMER', key, group, consumer.name)
    end
  end
end

for lane = 0, LANES - 1 do
  look(lane)
end

local wanted = {}
if #ordinary > 0 then
  for i = 1, math.min(count, #ordinary) do
    wanted[i] = ordinary[i]
  end
elseif suspect then
  if holds > 0 then
    return {2}
  end
  wanted[1] = suspect
else
  return {0}
end

local entries, deliveries, lanes = {}, {}, {}
for _, entry in ipairs(wanted) do
  local key = lane_key(KEYS[1], entry.lane)
  local claimed = redis.call('XCLAIM', key, group, me, 0, entry.id)[1]
  -- Before Redis 7, one that was deleted is nil here.
  if claimed then
    entries[#entries + 1] = claimed
    deliveries[#deliveries + 1] = entry.delivered + 1
    lanes[#lanes + 1] = entry.lane
  else
    -- Somebody deleted it: nobody can have it any more, and what that means for its file is found by mend.lua.
    redis.call('XACK', key, group, entry.id)
  end
end
return {1, entries, deliveries, lanes}
