-- Frees frames whose records all have a final outcome, and advances `indexed` over contiguous ranges.
-- KEYS: frames, bytes, indexed, done    ARGV: group, then for each frame: id, file, start, end, length
-- file is '' where no shipper wrote the entry. Doing this twice changes nothing more.

-- A file's finished ranges behind a hole, as text: "30-40 50-60", sorted, neither touching nor overlapping.
local function parse(text)
  local ranges = {}
  for start, finish in string.gmatch(text or '', '(%d+)-(%d+)') do
    ranges[#ranges + 1] = {tonumber(start), tonumber(finish)}
  end
  return ranges
end

local function advance(file, start, finish)
  local indexed = tonumber(redis.call('HGET', KEYS[3], file) or '')
  -- Without a beginning there is nothing to be contiguous with: what the shipper pushes again is indexed again.
  if not indexed or finish <= indexed then
    return
  end
  local kept, placed = {}, false
  local text = redis.call('HGET', KEYS[4], file)
  for _, range in ipairs(parse(text)) do
    if range[2] < start then
      kept[#kept + 1] = range
    elseif range[1] > finish then
      if not placed then
        kept[#kept + 1] = {start, finish}
        placed = true
      end
      kept[#kept + 1] = range
    else
      start, finish = math.min(start, range[1]), math.max(finish, range[2])
    end
  end
  if not placed then
    kept[#kept + 1] = {start, finish}
  end
  while kept[1] and kept[1][1] <= indexed do
    indexed = math.max(indexed, kept[1][2])
    table.remove(kept, 1)
  end
  redis.call('HSET', KEYS[3], file, string.format('%.0f', indexed))
  if #kept > 0 then
    local words = {}
    for i, range in ipairs(kept) do
      words[i] = string.format('%.0f-%.0f', range[1], range[2])
    end
    redis.call('HSET', KEYS[4], file, table.concat(words, ' '))
  elseif text then
    redis.call('HDEL', KEYS[4], file)
  end
end

local freed = 0
for i = 2, #ARGV, 5 do
  local id, file = ARGV[i], ARGV[i + 1]
  -- XACK comes first: it is allowed when Redis is out of memory, and so is then all that follows.
  redis.call('XACK', KEYS[1], ARGV[1], id)
  if redis.call('XDEL', KEYS[1], id) == 1 then
    freed = freed + tonumber(ARGV[i + 4])
  end
  if file ~= '' then
    advance(file, tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]))
  end
end

local held = tonumber(redis.call('GET', KEYS[2]) or '0') - freed
if held < 0 or redis.call('XLEN', KEYS[1]) == 0 then
  held = 0
end
redis.call('SET', KEYS[2], string.format('%.0f', held))
return freed
