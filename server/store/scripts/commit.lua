-- Commits the decisions of many leads of one partition; each lead's either wholly or not at all. A lead comes once.
-- For one lead everything is checked before anything is written, since a script is never rolled back. What limits count is written first, the
-- log and where its decisions lie last: were the script to fail half way, contacts would have been counted that nobody carries out.
--
-- KEYS  1 log · 2 clock · 3 the day's counts · 4 event log · 5 leads by their next review · 6 decisions by when their keys go
--       · 7 what records' keys begin with · 8 what decisions' keys begin with · ceilings… · the leads' events' keys… · their effects' keys…,
--       each in the leads' order. The keys of records and decisions are made here, from ids: a key costs the caller more than a value of the
--       array. What they begin with is among the keys so that a store that forbids any of a kind says so before anything is written
-- ARGV  1 everything but what is large, as one MessagePack array (one argument costs the caller far less than a dozen for each lead):
--   clock: 'store' or 'manual' · lifetime of the day's counts in seconds · lifetime of an event's key in seconds
--   · how long contacts count, in seconds · number of ceilings
--   · whether a lead or a decision comes twice
--   · of the leads, one array each (a table for each lead would cost twice as much): ids · expected versions · next versions, as text
--     · numbers of decisions · next reviews in ms, as text (false: none)
--   · of those leads that have any, by their places: valid until in ms · whether it is their first decision of the day
--     · { escalations · largest share of escalations } · claims · events · effects
--     a claim is     { ceiling's index · amount · maximum · window start, '(' before it if open }
--     an effect is   { command · its arguments after the key }, written with the lead; `server/store/effects.py` explains NEW and FREE
--   · of all decisions, one array each: ids · request fingerprints · lifetimes of their keys in ms
--       2… the leads' new records, then the decisions' log entries (large ones would be read twice in the array)
-- Returns { how many decisions were written, and of each lead that was not: its place · why }; why is one of
--   'CONFLICT' (record changed) · 'LATE' (valid no more) · 'DUPLICATE' (request known) · 'CEILING' (used up meanwhile)

local clock, day_seconds, event_seconds, contact_seconds, ceilings, any_twice, leads, some, decisions = unpack(cmsgpack.unpack(ARGV[1]))
local ids, versions, next_versions, decided, reviews = unpack(leads)
local valid_until, first_today, escalations, claims, events, effects = unpack(some)
local decision_ids, fingerprints, lifetimes = unpack(decisions)
local call = redis.call
local MOST_VALUES = 4000 -- Lua unpacks no more than 8,000 at once

local function store_ms()
  local time = call('TIME')
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
if clock == 'manual' then now = tonumber(call('GET', KEYS[2]) or '0') end
if now == 0 then now = store_ms() end
local last_ms, last_sequence = last_log_id(KEYS[1])
if last_ms < now then last_sequence = -1 end
now = math.max(now, last_ms)
local now_ms = string.format('%.0f', now)

local counts = call('HMGET', KEYS[3], 'leads', 'escalated')
local leads_today, escalated_today = tonumber(counts[1] or '0'), tonumber(counts[2] or '0')
local counts_before = leads_today .. ' ' .. escalated_today

-- Calls `use` with pieces of a list. Most of a command's time goes into calling it, so one serves many leads.
local function in_pieces(list, use)
  for from = 1, #list, MOST_VALUES do use(unpack(list, from, math.min(from + MOST_VALUES - 1, #list))) end
end

local function keys_of(beginning, names)
  local keys = {}
  for n = 1, #names do keys[n] = beginning .. names[n] end
  return keys
end

local record_keys, decision_keys = keys_of(KEYS[7], ids), keys_of(KEYS[8], decision_ids)
local stored, known = {}, 0 -- the leads' records, and how many of the requests were decided before: hardly ever any
in_pieces(record_keys, function(...)
  local before = #stored
  for place, record in ipairs(call('MGET', ...)) do stored[before + place] = record end
end)
in_pieces(decision_keys, function(...) known = known + call('EXISTS', ...) end)

-- Where the keys and the decisions of the lead at hand begin.
local event_at, decision_at = 8 + ceilings, 0
local effect_at = event_at
for _, of_lead in pairs(events) do effect_at = effect_at + #of_lead end

-- Records and decisions that a lead before this one writes, where one is named twice at all: noting them costs the store 2 %.
local taken = any_twice and {}

local function is_there(key)
  return call('EXISTS', key) == 1
end

-- Returns the log id in a lead's record, or nil if the record is not of the expected version.
local function last_log_id_of(l)
  local record, version = stored[l], versions[l]
  if not record then return version == '0' and '0-0' or nil end
  if string.sub(record, 1, #version + 1) ~= version .. ' ' then return nil end
  return string.sub(record, #version + 2, string.find(record, '\n', 1, true) - 1)
end

local function is_a_limit_used_up(l)
  for _, claim in ipairs(claims[l] or {}) do
    local ceiling, amount, maximum, start = unpack(claim)
    if call('ZCOUNT', KEYS[8 + ceiling], start, '+inf') + amount > maximum then return true end
  end
  if not escalations[l] then return false end
  local count, share = unpack(escalations[l])
  local allowed = math.max(1, math.floor(share * (leads_today + (first_today[l] and 1 or 0)) + 1e-9))
  return escalated_today + count > allowed
end

-- Returns the lead's last log id, or nil and why it is refused.
local function checked(l)
  local log_id = last_log_id_of(l)
  -- Also what keeps an event from counting twice: only a write of this lead can have recorded it.
  if not log_id or (taken and taken[record_keys[l]]) then return nil, 'CONFLICT' end
  if valid_until[l] and now >= valid_until[l] then return nil, 'LATE' end
  for d = decision_at + 1, decision_at + decided[l] do
    local key = decision_keys[d]
    if (taken and taken[key]) or (known > 0 and is_there(key)) then return nil, 'DUPLICATE' end
  end
  if effects[l] then
    for e, effect in ipairs(effects[l]) do
      if effect[1] == 'NEW' and is_there(KEYS[effect_at + e]) then return nil, 'DUPLICATE' end
    end
  end
  if (claims[l] or escalations[l]) and is_a_limit_used_up(l) then return nil, 'CEILING' end
  return log_id
end

local function apply(effect, key)
  if effect[1] == 'NEW' then
    call('SET', key, unpack(effect, 2))
  elseif effect[1] == 'FREE' then
    local member = call('ZRANGE', key, effect[2], effect[2], 'BYSCORE', 'LIMIT', 0, 1)[1]
    if member then call('ZREM', key, member) end
  else
    call(effect[1], key, unpack(effect, 2))
  end
end

local function take(claim, log_id)
  local ceiling, amount = unpack(claim)
  local key = KEYS[8 + ceiling]
  for unit = 1, amount do call('ZADD', key, now_ms, log_id .. '/' .. unit) end
  -- Not what left the limit's own window: another version of the policy, at work elsewhere or to come, may count further back.
  call('ZREMRANGEBYSCORE', key, '-inf', string.format('(%.0f', now - contact_seconds * 1000))
  call('EXPIRE', key, contact_seconds)
end

local function note(event, key)
  call('XADD', KEYS[4], '*', 'e', event, 'n', now_ms)
  call('SET', key, '', 'EX', event_seconds)
end

-- Returns a log id of this instant. A number's last digit is looked up: making text of a number costs more than all else that is done with it.
local DIGITS = {}
for digit = 0, 9 do DIGITS[digit] = tostring(digit) end
local up_to_last_digit
local function new_log_id(sequence)
  local digit = sequence % 10
  if digit == 0 or not up_to_last_digit then
    up_to_last_digit = now_ms .. '-' .. (sequence < 10 and '' or (sequence - digit) / 10)
  end
  return up_to_last_digit .. DIGITS[digit]
end

-- What is written for all leads together: records, reviews, and where decisions lie, each behind its key; and what is written of each decision.
local new_records, new_reviews, new_places, log_ids, previous = {}, {}, {}, {}, {}
local recorded, reviewed, placed = 0, 0, 0 -- how long the first three are: Lua would search for their ends

-- Writes what others count, and notes the rest.
local function write(l, log_id)
  for d = decision_at + 1, decision_at + decided[l] do
    last_sequence = last_sequence + 1
    previous[d] = log_id
    log_id = new_log_id(last_sequence)
    log_ids[d] = log_id
    new_places[placed + 1], new_places[placed + 2] = decision_keys[d], fingerprints[d] .. log_id .. ' ' .. ids[l]
    placed = placed + 2
    if taken then taken[decision_keys[d]] = true end
  end
  new_records[recorded + 1], new_records[recorded + 2] = record_keys[l], next_versions[l] .. ' ' .. log_id .. '\n' .. ARGV[1 + l]
  recorded = recorded + 2
  if taken then taken[record_keys[l]] = true end
  if reviews[l] then
    new_reviews[reviewed + 1], new_reviews[reviewed + 2] = reviews[l], ids[l]
    reviewed = reviewed + 2
  end
  if claims[l] then
    for _, claim in ipairs(claims[l]) do take(claim, log_id) end
  end
  if events[l] then
    for e, event in ipairs(events[l]) do note(event, KEYS[event_at + e]) end
  end
  if effects[l] then
    for e, effect in ipairs(effects[l]) do apply(effect, KEYS[effect_at + e]) end
  end
  if first_today[l] then leads_today = leads_today + 1 end
  if escalations[l] then escalated_today = escalated_today + escalations[l][1] end
end

local answer = { 0 } -- how many decisions were written, then who was refused
for l = 1, #ids do
  local log_id, refusal = checked(l)
  if refusal then
    answer[#answer + 1], answer[#answer + 2] = l, refusal
  else
    write(l, log_id)
  end
  decision_at = decision_at + decided[l]
  if events[l] then event_at = event_at + #events[l] end
  if effects[l] then effect_at = effect_at + #effects[l] end
end
in_pieces(new_records, function(...) call('MSET', ...) end)
in_pieces(new_reviews, function(...) call('ZADD', KEYS[5], ...) end)
local log, entries_at = KEYS[1], 1 + #ids
for d = 1, #decision_ids do
  if log_ids[d] then call('XADD', log, log_ids[d], previous[d], ARGV[entries_at + d]) end
end
in_pieces(new_places, function(...) call('MSET', ...) end)
-- Setting each key with a lifetime cost the store a tenth more in all; `forget_decisions.lua` removes those of a text together.
local lasting = {}
for d = 1, #decision_ids do
  if log_ids[d] then
    local alike = lasting[lifetimes[d]]
    if not alike then
      alike = {}
      lasting[lifetimes[d]] = alike
    end
    alike[#alike + 1] = decision_ids[d]
  end
end
for lifetime, alike in pairs(lasting) do
  local ends_at = string.format('%.0f', store_ms() + lifetime)
  in_pieces(alike, function(...) call('ZADD', KEYS[6], ends_at, table.concat({ ... }, ' ')) end)
end
if leads_today .. ' ' .. escalated_today ~= counts_before then
  call('HSET', KEYS[3], 'leads', leads_today, 'escalated', escalated_today)
  call('EXPIRE', KEYS[3], day_seconds)
end
answer[1] = placed / 2
return answer
