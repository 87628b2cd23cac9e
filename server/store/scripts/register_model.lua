-- Registers a model: all of its files, or nothing. When the tenant keeps as many as it may, the oldest goes that nothing can need any more: it
-- does not score, is none of those to go back to, and stopped scoring (or came in) longer ago than decisions are retained.
--
-- KEYS  1 the artifact · 2 versions by when they came in · 3 versions by when they stopped scoring · 4 what scores
-- ARGV  1 version · 2 how many models the tenant may keep · 3 retention of decisions in ms · 4 what the artifact's keys begin with ·
--       5… each file's name, followed by its bytes
-- Returns 'OK', or 'FULL' when nothing can go, and then nothing was written.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not known and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then
  local scoring = ' ' .. (redis.call('GET', KEYS[4]) or '') .. ' '
  local gone = nil
  local came = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
  for place = 1, #came, 2 do
    local version = came[place]
    local last = math.max(tonumber(came[place + 1]), tonumber(redis.call('ZSCORE', KEYS[3], version) or '0'))
    if last < now - ARGV[3] and not string.find(scoring, ' ' .. version .. ' ', 1, true) then
      gone = version
      break
    end
  end
  if not gone then return 'FULL' end
  redis.call('DEL', ARGV[4] .. gone)
  redis.call('ZREM', KEYS[2], gone)
  redis.call('ZREM', KEYS[3], gone)
end
-- One file at a time: unpacking all arguments at once is bounded by Lua's stack.
redis.call('DEL', KEYS[1])
for place = 5, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[place], ARGV[place + 1])
end
if not known then redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1]) end
return 'OK'
