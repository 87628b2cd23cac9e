-- Makes a subscription unless there is one of its name: a consumer group on the log, and what it is about.
--
-- KEYS  1 log · 2 subscriptions
-- ARGV  1 name · 2 filter · 3 the log id after which it starts · 4 how many a tenant may have
-- Returns the subscription as it is stored, `<epoch> <filter>`, or nil when there is no room for another.
-- The epoch tells apart what was handed out before and after a seek, or by an earlier subscription of the same name.

local stored = redis.call('HGET', KEYS[2], ARGV[1])
if stored then return stored end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) then return false end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[3], 'MKSTREAM')
local time = redis.call('TIME')
local subscription = string.format('%.0f', time[1] * 1000000 + time[2]) .. ' ' .. ARGV[2]
redis.call('HSET', KEYS[2], ARGV[1], subscription)
return subscription
