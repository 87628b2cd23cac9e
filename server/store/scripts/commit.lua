-- Commits the decisions of many leads of one partition; each lead's either wholly or not at all. A lead comes once.
-- For one lead everything is checked before anything is written, since a script is never rolled back. What limits count is written first, the
-- log last: were the script to fail half way, contacts would have been counted that nobody carries out.
--
-- KEYS  1 log · 2 clock · 3 the day's counts · 4 event log · 5 leads by their next review · ceilings… · the leads' records…
--       · their decisions' keys… · their events' keys… · their effects' keys…, each in the leads' order
-- ARGV  1 everything else, as one MessagePack array (one argument costs the caller far less than a dozen for each lead):
--   clock: 'store' or 'manual' · lifetime of the day's counts in seconds · lifetime of an event's key in seconds
--   · how long contacts count, in seconds · number of ceilings
--   · of the leads, one array each (a table for each lead would cost twice as much): ids · expected versions · next versions, as text
--     · new records · valid until in ms (false: for ever) · first decision of the day (0 or 1) · escalations · largest share of escalations
--     · claims (false: none) · numbers of decisions · events (false: none) · next reviews in ms, as text (false: none) · effects (false: none)
--     a claim is     { ceiling's index · amount · maximum · window start, '(' before it if open }
--     an effect is   { command · its arguments after the key }, written with the lead; `server/store/effects.py` explains NEW and FREE
--   · of all decisions, one array each: request fingerprints · decisions · rules that hit · inputs · lifetimes of their keys in seconds
-- Returns for each lead its new log ids, joined by blanks ('' if it had no decisions), or why it was not written:
--   'CONFLICT' (record changed) · 'LATE' (valid no more) · 'DUPLICATE' (request known) · 'CEILING' (used up meanwhile)

local clock, day_seconds, event_seconds, contact_seconds, ceilings, leads, decisions = unpack(cmsgpack.unpack(ARGV[1]))
local ids, versions, next_versions, records, valid_until, first_today, escalations, shares, claims, decided, events, reviews, effects =
  unpack(leads)
local fingerprints, answers, hits, inputs, lifetimes = unpack(decisions)
local NONE = {}
local MOST_VALUES = 4000 -- Lua unpacks no more than 8,000 at once

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

local counts = redis.call('HMGET', KEYS[3], 'leads', 'escalated')
local leads_today, escalated_today = tonumber(counts[1] or '0'), tonumber(counts[2] or '0')
local counts_before = leads_today .. ' ' .. escalated_today

-- Where the leads' keys begin; the last three move on from lead to lead.
local records_at = 5 + ceilings
local first_decision_at = records_at + #ids
local decision_at, event_at = first_decision_at, first_decision_at + #fingerprints
local effect_at = event_at
for l = 1, #ids do effect_at = effect_at + #(events[l] or NONE) end

-- Calls `use` with pieces of a part of a list. Most of a command's time goes into calling it, so one serves many leads.
local function in_pieces(list, first, last, use)
  for from = first, last, MOST_VALUES do use(unpack(list, from, math.min(from + MOST_VALUES - 1, last))) end
end

local stored, known = {}, 0 -- the leads' records, and how many of the requests were decided before: hardly ever any
in_pieces(KEYS, records_at + 1, decision_at, function(...)
  for _, record in ipairs(redis.call('MGET', ...)) do stored[#stored + 1] = record end
end)
in_pieces(KEYS, decision_at + 1, decision_at + #fingerprints, function(...) known = known + redis.call('EXISTS', ...) end)

local taken = {} -- records and decisions that a lead before this one writes

local function is_there(key)
  return redis.call('EXISTS', key) == 1
end

-- Returns the lead's last log id, or nil and why it is refused.
local function checked(l)
  local version, log_id = '0', '0-0'
  if stored[l] then version, log_id = string.match(stored[l], '^(%d+) ([%d%-]+)\n') end
  -- Also what keeps an event from counting twice: only a write of this lead can have recorded it.
  if version ~= versions[l] or taken[KEYS[records_at + l]] then return nil, 'CONFLICT' end
  if valid_until[l] and now >= valid_until[l] then return nil, 'LATE' end
  for d = 1, decided[l] do
    local key = KEYS[decision_at + d]
    if taken[key] or (known > 0 and is_there(key)) then return nil, 'DUPLICATE' end
  end
  for e, effect in ipairs(effects[l] or NONE) do
    if effect[1] == 'NEW' and is_there(KEYS[effect_at + e]) then return nil, 'DUPLICATE' end
  end
  for _, claim in ipairs(claims[l] or NONE) do
    local ceiling, amount, maximum, start = unpack(claim)
    if redis.call('ZCOUNT', KEYS[5 + ceiling], start, '+inf') + amount > maximum then return nil, 'CEILING' end
  end
  if escalations[l] > 0 then
    local allowed = math.max(1, math.floor(shares[l] * (leads_today + first_today[l]) + 1e-9))
    if escalated_today + escalations[l] > allowed then return nil, 'CEILING' end
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
  local ceiling, amount = unpack(claim)
  local key = KEYS[5 + ceiling]
  for unit = 1, amount do redis.call('ZADD', key, now_ms, log_id .. '/' .. unit) end
  -- Not what left the limit's own window: another version of the policy, at work elsewhere or to come, may count further back.
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('(%.0f', now - contact_seconds * 1000))
  redis.call('EXPIRE', key, contact_seconds)
end

local new_records, new_reviews = {}, {} -- what is written for all leads together
local log_ids, previous, owners = {}, {}, {} -- of each decision: its log id, its lead's one before it, its lead

-- Writes what others count, and notes the rest; returns the new log ids.
local function write(l, log_id)
  local new = ''
  for at = decision_at + 1, decision_at + decided[l] do
    local d = at - first_decision_at
    last_sequence = last_sequence + 1
    log_ids[d], previous[d], owners[d] = string.format('%s-%d', now_ms, last_sequence), log_id, ids[l]
    log_id = log_ids[d]
    new = new == '' and log_id or new .. ' ' .. log_id
    taken[KEYS[at]] = true
  end
  local record_key = KEYS[records_at + l]
  taken[record_key] = true
  new_records[#new_records + 1] = record_key
  new_records[#new_records + 1] = next_versions[l] .. ' ' .. log_id .. '\n' .. records[l]
  if reviews[l] then
    new_reviews[#new_reviews + 1] = reviews[l]
    new_reviews[#new_reviews + 1] = ids[l]
  end
  for _, claim in ipairs(claims[l] or NONE) do take(claim, log_id) end
  for e, payload in ipairs(events[l] or NONE) do
    redis.call('XADD', KEYS[4], '*', 'e', payload, 'n', now_ms)
    redis.call('SET', KEYS[event_at + e], '', 'EX', event_seconds)
  end
  for e, effect in ipairs(effects[l] or NONE) do apply(effect, KEYS[effect_at + e]) end
  leads_today = leads_today + first_today[l]
  escalated_today = escalated_today + escalations[l]
  return new
end

local results = {}
for l = 1, #ids do
  local log_id, refusal = checked(l)
  results[l] = refusal or write(l, log_id)
  decision_at = decision_at + decided[l]
  event_at = event_at + #(events[l] or NONE)
  effect_at = effect_at + #(effects[l] or NONE)
end
in_pieces(new_records, 1, #new_records, function(...) redis.call('MSET', ...) end)
in_pieces(new_reviews, 1, #new_reviews, function(...) redis.call('ZADD', KEYS[5], ...) end)
for d = 1, #fingerprints do
  local log_id = log_ids[d]
  if log_id then
    redis.call('XADD', KEYS[1], log_id, 'd', answers[d], 't', hits[d], 'i', inputs[d], 'p', previous[d])
    redis.call('SET', KEYS[first_decision_at + d], fingerprints[d] .. log_id .. ' ' .. owners[d], 'EX', lifetimes[d])
  end
end
if leads_today .. ' ' .. escalated_today ~= counts_before then
  redis.call('HSET', KEYS[3], 'leads', leads_today, 'escalated', escalated_today)
  redis.call('EXPIRE', KEYS[3], day_seconds)
end
return results
