-- Takes over what dead consumers hold, and what stalled.
-- KEYS: frames    ARGV: group, consumer, prefix of the liveness keys, stalled ms, deliveries together, count,
--       ms after which a dead consumer that holds nothing is forgotten
-- Answers {1, entries, deliveries}: claimed; {0}: nothing to take over; {2}: a suspect waits until this consumer
-- holds nothing.
local group, me, stalled = ARGV[1], ARGV[2], ARGV[4]
local together, count = tonumber(ARGV[5]), tonumber(ARGV[6])

-- How many pending entries of one consumer are looked at in one go: bounds the time of the script.
local SCAN = 256

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], group)
if consumers.err then
  return {0}
end

local holds, ordinary, suspect, delivered = 0, {}, nil, {}
for _, flat in ipairs(consumers) do
  local consumer = {}
  for i = 1, #flat, 2 do
    consumer[flat[i]] = flat[i + 1]
  end
  local dead = consumer.name ~= me and redis.call('EXISTS', ARGV[3] .. consumer.name) == 0
  if consumer.pending > 0 then
    local free
    if dead then
      free = redis.call('XPENDING', KEYS[1], group, '-', '+', SCAN, consumer.name)
    else
      free = redis.call('XPENDING', KEYS[1], group, 'IDLE', stalled, '-', '+', SCAN, consumer.name)
    end
    if consumer.name == me then
      holds = consumer.pending - #free
    end
    for _, entry in ipairs(free) do
      delivered[entry[1]] = entry[4]
      if entry[4] < together then
        ordinary[#ordinary + 1] = entry[1]
      else
        suspect = suspect or entry[1]
      end
    end
  elseif dead and consumer.idle >= tonumber(ARGV[7]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group, consumer.name)
  end
end

local ids = {}
if #ordinary > 0 then
  for i = 1, math.min(count, #ordinary) do
    ids[i] = ordinary[i]
  end
elseif suspect then
  if holds > 0 then
    return {2}
  end
  ids[1] = suspect
else
  return {0}
end

local claimed = redis.call('XCLAIM', KEYS[1], group, me, 0, unpack(ids))
local entries, deliveries, there = {}, {}, {}
for _, entry in ipairs(claimed) do
  -- Before Redis 7, one that was deleted is nil here.
  if entry then
    entries[#entries + 1] = entry
    deliveries[#deliveries + 1] = delivered[entry[1]] + 1
    there[entry[1]] = true
  end
end
for _, id in ipairs(ids) do
  if not there[id] then
    -- Somebody deleted it: nobody can have it any more, and what that means for its file is found by mend.lua.
    redis.call('XACK', KEYS[1], group, id)
  end
end
return {1, entries, deliveries}
