-- Moves a subscription: a new group in place of the old one, so that nothing is outstanding any more. Gaps and dead letters stay.
--
-- KEYS  1 log · 2 subscriptions · 3 leases · 4 returned
-- ARGV  1 name · 2 the log id after which it goes on
-- Returns 1, or 0 when there is no such subscription.

local stored = redis.call('HGET', KEYS[2], ARGV[1])
if not stored then return 0 end
local epoch, filter = string.match(stored, '^(%d+) (.*)$')
local time = redis.call('TIME')
local next_epoch = math.max(tonumber(epoch) + 1, time[1] * 1000000 + time[2])
redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
redis.call('DEL', KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', next_epoch) .. ' ' .. filter)
return 1
