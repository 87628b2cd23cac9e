-- Removes the keys of decisions that were kept long enough.
--
-- KEYS  1 decisions by when their keys go. The keys themselves are made here, from ids; they lie in the slot of this one
-- ARGV  1 what a decision's key begins with · 2 how many texts of ids at once
-- Returns how many texts of ids went; as many as were asked for: there may be more.

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, ids in ipairs(due) do
  local keys = {}
  for id in string.gmatch(ids, '%S+') do keys[#keys + 1] = ARGV[1] .. id end
  redis.call('UNLINK', unpack(keys)) -- as many as the commit put into one text
  redis.call('ZREM', KEYS[1], ids)
end
return #due
