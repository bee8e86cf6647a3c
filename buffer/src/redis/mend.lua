-- Finds frames that somebody deleted from the lanes before they were indexed, and lets them be pushed again.
-- KEYS: frames, pushed, indexed, bytes, waiting, shares, settled, done, gaps
-- ARGV: group, prefix of the liveness keys, cursor, count
-- Answers the next cursor, 0 at the end, and how many frames were lost; -1 where there was no need to look.
-- Begins to look only where the lanes have fewer entries than wait, which costs nothing to know.
if ARGV[3] == '0' and count_entries(KEYS[1]) >= redis.call('ZCARD', KEYS[5]) then
  return {'0', -1}
end

local function is_done(member)
  local indexed = tonumber(redis.call('HGET', KEYS[3], member.file) or '')
  if not indexed or member.finish <= indexed then
    return true
  end
  for _, range in ipairs(parse_ranges(redis.call('HGET', KEYS[8], member.file))) do
    if range[1] <= member.start and member.finish <= range[2] then
      return true
    end
  end
  return false
end

-- The file goes on from the lost frame: its shipper is told at its next push, or when it reads its positions.
local function rewind(member)
  local pushed = tonumber(redis.call('HGET', KEYS[2], member.file) or '')
  local indexed = tonumber(redis.call('HGET', KEYS[3], member.file))
  local to = math.max(member.start, indexed)
  if pushed and pushed > to then
    redis.call('HSET', KEYS[2], member.file, string.format('%.0f', to))
  end
end

local found = redis.call('ZSCAN', KEYS[5], ARGV[3], 'COUNT', ARGV[4])
local lost = 0
for i = 1, #found[2], 2 do
  local member = parse_member(found[2][i])
  if is_lost(KEYS[1], ARGV[1], ARGV[2], member.entry) then
    -- ZREM comes first: it is allowed when Redis is out of memory, and so is then all that follows.
    redis.call('ZREM', KEYS[5], found[2][i])
    local lane, id = find_entry(KEYS[1], member.entry)
    redis.pcall('XACK', lane, ARGV[1], id)
    local source = string.sub(member.file, 1, 16)
    give_back(KEYS[4], KEYS[6], source, member.length)
    if not is_done(member) then
      rewind(member)
      redis.call('HINCRBY', KEYS[9], source, 1)
      redis.call('ZADD', KEYS[7], redis.call('TIME')[1], member.file)
      lost = lost + 1
    end
  end
end
return {found[1], lost}
