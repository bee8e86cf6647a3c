-- Sets `pushed` of a file back, where it is still what the shipper saw and the buffer holds nothing of the file.
-- KEYS: frames, pushed, indexed, bytes, waiting, shares, settled, done, gaps
-- ARGV: group, prefix of the liveness keys, file, seen, to

-- Frames of one file that are looked at in one go: bounds the time of the script.
local FRAMES_MAX = 256

local file = ARGV[3]
if redis.call('HGET', KEYS[2], file) ~= ARGV[4] then
  return 0
end
local found = members(KEYS[5], file, FRAMES_MAX)
for _, text in ipairs(found) do
  local member = parse_member(text)
  if not is_lost(KEYS[1], ARGV[1], ARGV[2], member.entry) then
    return 0
  end
  redis.call('ZREM', KEYS[5], text)
  give_back(KEYS[4], KEYS[6], string.sub(file, 1, 16), member.length)
end
if #found == FRAMES_MAX then
  return 0
end
redis.call('HSET', KEYS[2], file, ARGV[5])
redis.call('HINCRBY', KEYS[9], string.sub(file, 1, 16), 1)
return 1
