-- Takes leads whose review (or whatever else the index is of) is due. Each is put off by the visibility time in the same step: when whoever took it dies before its decision has
-- set the next review, somebody else takes it then.
--
-- KEYS  1 lead ids by when they are due · 2 clock
-- ARGV  1 clock: 'store' or 'manual' · 2 how many · 3 visibility time in ms
-- Returns the lead ids, each followed by the instant in ms at which it was due.

local now = 0
if ARGV[1] == 'manual' then now = tonumber(redis.call('GET', KEYS[2]) or '0') end
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local taken = redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES')
for place = 1, #taken, 2 do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), taken[place])
end
return taken
