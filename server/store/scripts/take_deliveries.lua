-- Hands deliveries of a subscription to one consumer: first what came back, then what is new. Each is leased until its deadline.
--
-- The group's own list of pending entries says who has what and how often it was handed out. A delivery that nobody holds, because its
-- deadline passed or it was rejected, belongs to the consumer ' ', whose name no caller can have, and waits in `returned`.
--
-- KEYS  1 log · 2 subscriptions · 3 leases · 4 returned · 5 dead letters · 6 gaps
-- ARGV  1 name · 2 epoch · 3 consumer · 4 how many it may hold at once · 5 deadline in ms · 6 attempts that a delivery has
--       · 7 how many at once · 8 after how many ms a consumer that holds nothing is forgotten · 9 how many dead letters are kept
-- Returns {entries[], gap or false, dead letters made, room that is left, ms until something may come back (-1: nothing will)}, or
-- 'MOVED' when the epoch is over. An entry is {log id, attempt, fields}; a gap {missed, first log id, last log id, attempt}.

local log, subscriptions, leases, returned, dead, gaps = unpack(KEYS)
local name, epoch, consumer, NOBODY = ARGV[1], ARGV[2], ARGV[3], ' '
local most_held, deadline, most_attempts, page = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local stored = redis.call('HGET', subscriptions, name)
if not stored or string.match(stored, '^%d+') ~= epoch then return 'MOVED' end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(number) return string.format('%.0f', number) end

local function give_back_what_is_late()
  for _, id in ipairs(redis.call('ZRANGE', leases, '-inf', ms(now), 'BYSCORE', 'LIMIT', 0, page)) do
    redis.call('ZREM', leases, id)
    -- An entry that retention removed leaves the pending list here, and is not returned.
    if #redis.call('XCLAIM', log, name, NOBODY, 0, id, 'JUSTID') > 0 then redis.call('ZADD', returned, ms(now), id) end
  end
end

local function held_by_consumer()
  local held = 0
  for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', log, name)) do
    local one = {}
    for f = 1, #fields, 2 do one[fields[f]] = fields[f + 1] end
    if one.name == consumer then
      held = one.pending
    elseif one.pending == 0 and one.idle > tonumber(ARGV[8]) then
      redis.call('XGROUP', 'DELCONSUMER', log, name, one.name)
    end
  end
  return held
end

local entries, buried = {}, 0

local function bury(id, attempts)
  local entry = redis.call('XRANGE', log, id, id)[1]
  if entry then
    redis.call('XADD', dead, 'MAXLEN', '=', ARGV[9], '*', 'l', id, 'n', attempts, 'e', epoch, unpack(entry[2]))
    buried = buried + 1
  end
  redis.call('XACK', log, name, id)
end

local function hand_out_again(room)
  for _, id in ipairs(redis.call('ZRANGE', returned, '-inf', ms(now), 'BYSCORE', 'LIMIT', 0, room)) do
    redis.call('ZREM', returned, id)
    local pending = redis.call('XPENDING', log, name, id, id, 1)[1]
    local attempts = pending and pending[4]
    if attempts and attempts >= most_attempts then
      bury(id, attempts)
    elseif attempts then
      local claimed = redis.call('XCLAIM', log, name, consumer, 0, id)[1]
      if claimed then entries[#entries + 1] = { id, attempts + 1, claimed[2] } end
    end
  end
end

local function hand_out_new(room)
  local reply = redis.call('XREADGROUP', 'GROUP', name, consumer, 'COUNT', room, 'STREAMS', log, '>')
  for _, entry in ipairs(reply and reply[1][2] or {}) do
    entries[#entries + 1] = { entry[1], 1, entry[2] }
  end
end

local function due_gap()
  local packed = redis.call('HGET', gaps, name)
  local gap = packed and cmsgpack.unpack(packed)
  if not gap or gap.due > now then return false end
  gap.due, gap.attempt, gap.handed, gap.fresh = now + deadline, gap.attempt + 1, gap.missed, nil
  redis.call('HSET', gaps, name, cmsgpack.pack(gap))
  return { gap.missed, gap.first, gap.last, gap.attempt }
end

local function next_return()
  local wait = -1
  for _, key in ipairs({ leases, returned }) do
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then
      local left = math.max(tonumber(first[2]) - now, 0)
      if wait < 0 or left < wait then wait = left end
    end
  end
  return wait
end

give_back_what_is_late()
local room = math.max(most_held - held_by_consumer(), 0)
if math.min(room, page) > 0 then hand_out_again(math.min(room, page)) end
if math.min(room, page) > #entries then hand_out_new(math.min(room, page) - #entries) end
for _, entry in ipairs(entries) do redis.call('ZADD', leases, ms(now + deadline), entry[1]) end
return { entries, due_gap(), buried, room - #entries, next_return() }
