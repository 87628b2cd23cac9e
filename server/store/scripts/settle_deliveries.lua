-- Acknowledges deliveries, or gives them back to come again later. Those of another epoch, and those that are done, change nothing.
--
-- KEYS  1 log · 2 subscriptions · 3 leases · 4 returned · 5 gaps
-- ARGV  1 name · 2 ms until they come again ('': they are done) · 3 deliveries, as a MessagePack array of { epoch · log id · attempt }
--       or, for a gap, { epoch · '' · attempt }
-- Returns how many were settled, or nil when there is no such subscription.

local log, subscriptions, leases, returned, gaps = unpack(KEYS)
local name, again = ARGV[1], tonumber(ARGV[2])

local stored = redis.call('HGET', subscriptions, name)
if not stored then return false end
local current = string.match(stored, '^%d+')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function acknowledge(id)
  redis.call('ZREM', leases, id)
  redis.call('ZREM', returned, id)
  return redis.call('XACK', log, name, id)
end

local function give_back(id, attempt)
  local pending = redis.call('XPENDING', log, name, id, id, 1)[1]
  -- Handed out again since: whoever has it now is not to lose it.
  if not pending or pending[4] ~= attempt then return 0 end
  redis.call('ZREM', leases, id)
  if #redis.call('XCLAIM', log, name, ' ', 0, id, 'JUSTID') == 0 then return 0 end
  redis.call('ZADD', returned, string.format('%.0f', now + again), id)
  return 1
end

local function settle_gap(attempt)
  local packed = redis.call('HGET', gaps, name)
  local gap = packed and cmsgpack.unpack(packed)
  if not gap or gap.attempt ~= attempt then return 0 end
  if again then
    gap.due = now + again
  elseif gap.missed == gap.handed then
    redis.call('HDEL', gaps, name)
    return 1
  else
    -- It grew since it was handed out: what was added is still to be told.
    gap = { missed = gap.missed - gap.handed, first = gap.fresh, last = gap.last, due = 0, attempt = gap.attempt, handed = 0 }
  end
  redis.call('HSET', gaps, name, cmsgpack.pack(gap))
  return 1
end

local settled = 0
for _, delivery in ipairs(cmsgpack.unpack(ARGV[3])) do
  local epoch, id, attempt = unpack(delivery)
  if epoch == current then
    if id == '' then
      settled = settled + settle_gap(attempt)
    elseif again then
      settled = settled + give_back(id, attempt)
    else
      settled = settled + acknowledge(id)
    end
  end
end
return settled
