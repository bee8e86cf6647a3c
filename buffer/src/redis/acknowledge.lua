-- Frees frames whose records all have a final outcome, and advances `indexed` over contiguous ranges.
-- KEYS: frames, pushed, indexed, bytes, waiting, shares, settled, done
-- ARGV: group, then for each frame: entry, file, start, end, length
-- file is '' where no shipper wrote the entry. Doing this twice changes nothing more.

local function advance(file, start, finish)
  local indexed = tonumber(redis.call('HGET', KEYS[3], file) or '')
  -- Without a beginning there is nothing to be contiguous with: what the shipper pushes again is indexed again.
  if not indexed or finish <= indexed then
    return
  end
  local kept, placed = {}, false
  local text = redis.call('HGET', KEYS[8], file)
  for _, range in ipairs(parse_ranges(text)) do
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
    redis.call('HSET', KEYS[8], file, table.concat(words, ' '))
  elseif text then
    redis.call('HDEL', KEYS[8], file)
  end
end

local files = {}
for i = 2, #ARGV, 5 do
  local entry, file, start, finish, length = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  -- XACK comes first: it is allowed when Redis is out of memory, and so is then all that follows.
  local lane, id = find_entry(KEYS[1], entry)
  redis.call('XACK', lane, ARGV[1], id)
  redis.call('XDEL', lane, id)
  if file ~= '' then
    local member = place(file, start) .. ' ' .. finish .. ' ' .. entry .. ' ' .. length
    if redis.call('ZREM', KEYS[5], member) == 1 then
      give_back(KEYS[4], KEYS[6], string.sub(file, 1, 16), tonumber(length))
    end
    advance(file, tonumber(start), tonumber(finish))
    files[file] = true
  end
end

for file in pairs(files) do
  local pushed = redis.call('HGET', KEYS[2], file)
  if pushed and pushed == redis.call('HGET', KEYS[3], file) then
    redis.call('ZADD', KEYS[7], redis.call('TIME')[1], file)
  end
end
if redis.call('ZCARD', KEYS[5]) == 0 then
  redis.call('DEL', KEYS[4], KEYS[6])
end
return 1
