-- Makes another model the one that scores, if what scores is still what the caller read, and only once for a request id.
--
-- KEYS  1 what scores · 2 versions by when they stopped scoring · 3… the request id's fingerprint, when there is a request id
-- ARGV  1 what scored when it was read · 2 what is to score · 3 version that stops scoring, '' for none · 4 fingerprint of the request ·
--       5 how long it is remembered, in seconds
-- Returns 'OK', 'CHANGED' (what scores is something else by now), 'DONE' (by the same request before), or 'OTHER' (another request had this id).

if KEYS[3] then
  local known = redis.call('GET', KEYS[3])
  if known == ARGV[4] then return 'DONE' end
  if known then return 'OTHER' end
end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 'CHANGED' end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[3] ~= '' then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), ARGV[3])
end
if KEYS[3] then redis.call('SET', KEYS[3], ARGV[4], 'EX', ARGV[5]) end
return 'OK'
