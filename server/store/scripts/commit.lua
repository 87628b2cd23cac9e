-- Commits the decisions of many leads of one partition; each lead's either wholly or not at all. A lead comes once.
-- For one lead everything is checked before anything is written, since a script is never rolled back. What limits count is written first, the
-- log last: were the script to fail half way, contacts would have been counted that nobody carries out.
--
-- KEYS  1 log · 2 clock · 3 the day's counts · 4 event log · 5 leads by their next review · ceilings…
--       · then for each lead its record, its decisions' keys, its events' keys and its effects' keys
-- ARGV  1 everything else, as one MessagePack array (one argument costs the caller far less than a dozen for each lead):
--   clock: 'store' or 'manual' · lifetime of the day's counts in seconds
--   · lifetime of an event's key in seconds · number of ceilings · leads, each
--     { expected version · next version, as text · new record · valid until in ms (nil: for ever)
--       · first decision of the day (0 or 1) · escalations · largest share of escalations · claims · decisions · events
--       · next review in ms, as text (nil: none) · lead id · effects }
--     a claim is     { ceiling's index · amount · maximum · window start, '(' before it if open · lifetime in seconds }
--     a decision is  { request fingerprint · decision · rules that hit · inputs · lifetime of its key in seconds }
--     an effect is   { command · its arguments after the key }, written with the lead; `server/store/effects.py` explains NEW and FREE
-- Returns for each lead its new log ids, joined by blanks ('' if it had no decisions), or why it was not written:
--   'CONFLICT' (record changed) · 'LATE' (valid no more) · 'DUPLICATE' (request known) · 'CEILING' (used up meanwhile)

local clock, day_seconds, event_seconds, ceilings, leads = unpack(cmsgpack.unpack(ARGV[1]))

local function store_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function last_log_id(log)
  local info = redis.pcall('XINFO', 'STREAM', log)
  if info.err then return 0, -1 end
  for field = 1, #info, 2 do
    if info[field] == 'last-generated-id' then
      local ms, sequence = string.match(info[field + 1], '^(%d+)-(%d+)$')
      return tonumber(ms), tonumber(sequence)
    end
  end
  return 0, -1
end

local now = 0
if clock == 'manual' then now = tonumber(redis.call('GET', KEYS[2]) or '0') end
if now == 0 then now = store_ms() end
local last_ms, last_sequence = last_log_id(KEYS[1])
if last_ms < now then last_sequence = -1 end
now = math.max(now, last_ms)
local now_ms = string.format('%.0f', now)

-- The places of a lead's and a decision's parts in their arrays: tables with names would cost as much as all commands together.
local VERSION, NEXT_VERSION, RECORD, VALID_UNTIL, FIRST_TODAY, ESCALATIONS, SHARE = 1, 2, 3, 4, 5, 6, 7
local CLAIMS, DECISIONS, EVENTS, REVIEW_AT, ID, EFFECTS = 8, 9, 10, 11, 12, 13
local FINGERPRINT, DECISION, HITS, INPUTS, LIFETIME = 1, 2, 3, 4, 5
local MOST_VALUES = 4000  -- Lua unpacks no more than 8,000 at once

local counts = redis.call('HMGET', KEYS[3], 'leads', 'escalated')
local leads_today, escalated_today = tonumber(counts[1] or '0'), tonumber(counts[2] or '0')
local counts_before = leads_today .. ' ' .. escalated_today

-- Calls `use` with pieces of a list and where each begins. Most of a command's time goes into calling it, so one serves many leads.
local function in_pieces(list, use)
  for first = 1, #list, MOST_VALUES do
    use(first, unpack(list, first, math.min(first + MOST_VALUES - 1, #list)))
  end
end

local places, record_keys, decision_keys = {}, {}, {}
local place = 6 + ceilings
for l, lead in ipairs(leads) do
  places[l], record_keys[l] = place, KEYS[place]
  for d = 1, #lead[DECISIONS] do decision_keys[#decision_keys + 1] = KEYS[place + d] end
  place = place + 1 + #lead[DECISIONS] + #lead[EVENTS] + #lead[EFFECTS]
end

local stored, known = {}, 0  -- the leads' records, and how many of the requests were decided before: hardly ever any
in_pieces(record_keys, function(first, ...)
  for p, record in ipairs(redis.call('MGET', ...)) do stored[first + p - 1] = record end
end)
in_pieces(decision_keys, function(_, ...) known = known + redis.call('EXISTS', ...) end)

local taken = {}  -- keys that a lead before this one writes
local records, reviews, entries = {}, {}, {}

local function is_there(key)
  return taken[key] or redis.call('EXISTS', key) == 1
end

-- Returns the lead's last log id, or nil and why it is refused. `at` is the place of its first key.
local function checked(lead, at, record)
  local version, log_id = '0', '0-0'
  if record then version, log_id = string.match(record, '^(%d+) ([%d%-]+)\n') end
  -- Also what keeps an event from counting twice: only a write of this lead can have recorded it.
  if version ~= lead[VERSION] or taken[KEYS[at]] then return nil, 'CONFLICT' end
  if lead[VALID_UNTIL] and now >= lead[VALID_UNTIL] then return nil, 'LATE' end
  for d = 1, #lead[DECISIONS] do
    if taken[KEYS[at + d]] or (known > 0 and is_there(KEYS[at + d])) then return nil, 'DUPLICATE' end
  end
  local effects_at = at + #lead[DECISIONS] + #lead[EVENTS]
  for e, effect in ipairs(lead[EFFECTS]) do
    if effect[1] == 'NEW' and is_there(KEYS[effects_at + e]) then return nil, 'DUPLICATE' end
  end
  for _, claim in ipairs(lead[CLAIMS]) do
    local ceiling, amount, maximum, start = unpack(claim)
    if redis.call('ZCOUNT', KEYS[5 + ceiling], start, '+inf') + amount > maximum then return nil, 'CEILING' end
  end
  if lead[ESCALATIONS] > 0 then
    local allowed = math.max(1, math.floor(lead[SHARE] * (leads_today + lead[FIRST_TODAY]) + 1e-9))
    if escalated_today + lead[ESCALATIONS] > allowed then return nil, 'CEILING' end
  end
  return log_id
end

local function apply(effect, key)
  if effect[1] == 'NEW' then
    redis.call('SET', key, unpack(effect, 2))
  elseif effect[1] == 'FREE' then
    local member = redis.call('ZRANGE', key, effect[2], effect[2], 'BYSCORE', 'LIMIT', 0, 1)[1]
    if member then redis.call('ZREM', key, member) end
  else
    redis.call(effect[1], key, unpack(effect, 2))
  end
end

local function take(claim, log_id)
  local ceiling, amount, _, start, lifetime = unpack(claim)
  local key = KEYS[5 + ceiling]
  for unit = 1, amount do redis.call('ZADD', key, now_ms, log_id .. '/' .. unit) end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. string.gsub(start, '%(', ''))
  redis.call('EXPIRE', key, lifetime)
end

-- Writes what others count, and notes what is written for all leads together; returns the new log ids.
local function write(lead, at, log_id)
  local ids = {}
  for d, decision in ipairs(lead[DECISIONS]) do
    last_sequence = last_sequence + 1
    ids[d] = string.format('%s-%d', now_ms, last_sequence)
    entries[#entries + 1] = { KEYS[at + d], ids[d], log_id, decision, lead[ID] }
    log_id = ids[d]
    taken[KEYS[at + d]] = true
  end
  taken[KEYS[at]] = true
  records[#records + 1] = KEYS[at]
  records[#records + 1] = lead[NEXT_VERSION] .. ' ' .. log_id .. '\n' .. lead[RECORD]
  if lead[REVIEW_AT] then
    reviews[#reviews + 1] = lead[REVIEW_AT]
    reviews[#reviews + 1] = lead[ID]
  end
  for _, claim in ipairs(lead[CLAIMS]) do take(claim, log_id) end
  at = at + #ids
  for e, payload in ipairs(lead[EVENTS]) do
    redis.call('XADD', KEYS[4], '*', 'e', payload, 'n', now_ms)
    redis.call('SET', KEYS[at + e], '', 'EX', event_seconds)
  end
  at = at + #lead[EVENTS]
  for e, effect in ipairs(lead[EFFECTS]) do apply(effect, KEYS[at + e]) end
  leads_today = leads_today + lead[FIRST_TODAY]
  escalated_today = escalated_today + lead[ESCALATIONS]
  return table.concat(ids, ' ')
end

local results = {}
for l, lead in ipairs(leads) do
  local log_id, refusal = checked(lead, places[l], stored[l])
  results[l] = refusal or write(lead, places[l], log_id)
end
in_pieces(records, function(_, ...) redis.call('MSET', ...) end)
in_pieces(reviews, function(_, ...) redis.call('ZADD', KEYS[5], ...) end)
for _, entry in ipairs(entries) do
  local key, log_id, previous, decision, id = unpack(entry)
  redis.call('XADD', KEYS[1], log_id, 'd', decision[DECISION], 't', decision[HITS], 'i', decision[INPUTS], 'p', previous)
  redis.call('SET', key, decision[FINGERPRINT] .. log_id .. ' ' .. id, 'EX', decision[LIFETIME])
end
if leads_today .. ' ' .. escalated_today ~= counts_before then
  redis.call('HSET', KEYS[3], 'leads', leads_today, 'escalated', escalated_today)
  redis.call('EXPIRE', KEYS[3], day_seconds)
end
return results
