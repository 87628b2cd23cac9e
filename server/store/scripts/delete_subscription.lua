-- Forgets a subscription and everything of it.
--
-- KEYS  1 log · 2 subscriptions · 3 gaps · 4 leases · 5 returned · 6 dead letters
-- ARGV  1 name
-- Returns 1, or 0 when there is no such subscription.

if redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4], KEYS[5], KEYS[6])
return 1
