-- What is known of some files, each at one moment.
-- KEYS: pushed, indexed, waiting, done    ARGV: cursor, count
-- Answers the next cursor, then for each file: file, pushed, indexed, done ranges, waiting ranges, as text.

-- The ranges of a file that wait, joined where they touch.
local function waiting(file)
  local words, start, finish = {}, nil, nil
  for _, text in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '[' .. file, '(' .. file .. ':')) do
    local member = parse_member(text)
    if finish and member.start <= finish then
      finish = math.max(finish, member.finish)
    else
      if finish then
        words[#words + 1] = string.format('%.0f-%.0f', start, finish)
      end
      start, finish = member.start, member.finish
    end
  end
  if finish then
    words[#words + 1] = string.format('%.0f-%.0f', start, finish)
  end
  return table.concat(words, ' ')
end

local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local answer = {page[1]}
for i = 1, #page[2], 2 do
  local file = page[2][i]
  answer[#answer + 1] = {
    file,
    page[2][i + 1],
    redis.call('HGET', KEYS[2], file),
    redis.call('HGET', KEYS[4], file) or '',
    waiting(file),
  }
end
return answer
