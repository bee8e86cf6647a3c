-- Looks whether claimed frames follow what is known of their files: one that begins above is behind a gap.
-- KEYS: pushed, indexed, waiting, done, gaps    ARGV: for each frame: file, start
-- Answers how many gaps there are. The file goes on where the gap begins; that this has not happened yet is what counts
-- it once.

-- Frames before it that are looked at: more than one overlaps only after a rewind.
local BEFORE = 64

local gaps = 0
for i = 1, #ARGV, 2 do
  local file, start = ARGV[i], tonumber(ARGV[i + 1])
  local known = tonumber(redis.call('HGET', KEYS[2], file) or '')
  -- Of a file whose beginning is not known nothing is missing: its shipper begins again.
  if known and known < start then
    for _, range in ipairs(parse_ranges(redis.call('HGET', KEYS[4], file))) do
      if range[1] < start then
        known = math.max(known, range[2])
      end
    end
    local before = redis.call('ZREVRANGEBYLEX', KEYS[3], '(' .. place(file, ARGV[i + 1]), '[' .. file, 'LIMIT', 0, BEFORE)
    for _, text in ipairs(before) do
      known = math.max(known, parse_member(text).finish)
    end
    local pushed = tonumber(redis.call('HGET', KEYS[1], file) or '')
    if known < start and pushed and pushed > known then
      redis.call('HSET', KEYS[1], file, string.format('%.0f', known))
      redis.call('HINCRBY', KEYS[5], string.sub(file, 1, 16), 1)
      gaps = gaps + 1
    end
  end
end
return gaps
