-- Commits the decisions of many leads of one partition; each lead's either wholly or not at all.
-- For one lead everything is checked before anything is written, since a script is never rolled back.
--
-- KEYS  1 log · 2 clock · 3 the day's counts · 4 event log · 5 leads by their next review · ceilings…
--       · then for each lead its record, its decisions' keys, its events' keys and its effects' keys
-- ARGV  1 everything else, as one MessagePack array (one argument costs the caller far less than a dozen for each lead):
--   clock: 'store' or 'manual' · lifetime of the day's counts in seconds
--   · lifetime of an event's key in seconds · number of ceilings · leads, each
--     { expected version · new record · valid until in ms (nil: for ever) · first decision of the day (0 or 1)
--       · escalations · largest share of escalations · claims · decisions · events · next review in ms (nil: none)
--       · lead id · effects }
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

local function last_log_ms(log)
  local info = redis.pcall('XINFO', 'STREAM', log)
  if info.err then return 0 end
  for field = 1, #info, 2 do
    if info[field] == 'last-generated-id' then return tonumber(string.match(info[field + 1], '^%d+')) end
  end
  return 0
end

local now = 0
if clock == 'manual' then now = tonumber(redis.call('GET', KEYS[2]) or '0') end
if now == 0 then now = store_ms() end
now = math.max(now, last_log_ms(KEYS[1]))
local log_ms = string.format('%.0f', now) .. '-*'

local function read_lead(packed, key_index)
  local lead = {
    key = KEYS[key_index], version = string.format('%.0f', packed[1]), record = packed[2], valid_until = packed[3],
    first_today = packed[4], escalations = packed[5], share = packed[6], claims = {}, decisions = {}, events = {},
    review_at = packed[10], id = packed[11], effects = packed[12],
  }
  for c, claim in ipairs(packed[7]) do
    lead.claims[c] = {
      key = KEYS[5 + claim[1]], amount = claim[2], maximum = claim[3], start = claim[4], lifetime = claim[5],
    }
  end
  for d, decision in ipairs(packed[8]) do
    lead.decisions[d] = {
      key = KEYS[key_index + d], fingerprint = decision[1], decision = decision[2], hits = decision[3],
      inputs = decision[4], lifetime = decision[5],
    }
  end
  for e, payload in ipairs(packed[9]) do
    lead.events[e] = { key = KEYS[key_index + #lead.decisions + e], payload = payload }
  end
  lead.effects_at = key_index + #lead.decisions + #lead.events
  return lead
end

local counts = redis.call('HMGET', KEYS[3], 'leads', 'escalated')
local leads_today, escalated_today = tonumber(counts[1] or '0'), tonumber(counts[2] or '0')
local counts_before = leads_today .. ' ' .. escalated_today

local function refusal(lead)
  local stored = redis.call('GET', lead.key)
  local version, log_id = '0', '0-0'
  if stored then version, log_id = string.match(stored, '^(%d+) ([%d%-]+)\n') end
  -- Also what keeps an event from counting twice: only a write of this lead can have recorded it.
  if version ~= lead.version then return 'CONFLICT' end
  lead.log_id = log_id
  if lead.valid_until and now >= lead.valid_until then return 'LATE' end
  for _, decision in ipairs(lead.decisions) do
    if redis.call('EXISTS', decision.key) == 1 then return 'DUPLICATE' end
  end
  for e, effect in ipairs(lead.effects) do
    if effect[1] == 'NEW' and redis.call('EXISTS', KEYS[lead.effects_at + e]) == 1 then return 'DUPLICATE' end
  end
  for _, claim in ipairs(lead.claims) do
    if redis.call('ZCOUNT', claim.key, claim.start, '+inf') + claim.amount > claim.maximum then return 'CEILING' end
  end
  if lead.escalations > 0 then
    local allowed = math.max(1, math.floor(lead.share * (leads_today + lead.first_today) + 1e-9))
    if escalated_today + lead.escalations > allowed then return 'CEILING' end
  end
  return nil
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

local function write(lead)
  local ids = {}
  for d, decision in ipairs(lead.decisions) do
    lead.log_id = redis.call('XADD', KEYS[1], log_ms, 'd', decision.decision, 't', decision.hits,
      'i', decision.inputs, 'p', lead.log_id)
    ids[d] = lead.log_id
    redis.call('SET', decision.key, decision.fingerprint .. lead.log_id .. ' ' .. lead.id, 'EX', decision.lifetime)
  end
  for _, event in ipairs(lead.events) do
    redis.call('XADD', KEYS[4], '*', 'e', event.payload, 'n', string.format('%.0f', now))
    redis.call('SET', event.key, '', 'EX', event_seconds)
  end
  redis.call('SET', lead.key, string.format('%.0f', tonumber(lead.version) + 1) .. ' ' .. lead.log_id .. '\n' .. lead.record)
  if lead.review_at then redis.call('ZADD', KEYS[5], string.format('%.0f', lead.review_at), lead.id) end
  for _, claim in ipairs(lead.claims) do
    for unit = 1, claim.amount do
      redis.call('ZADD', claim.key, string.format('%.0f', now), ids[#ids] .. '/' .. unit)
    end
    local start = string.gsub(claim.start, '%(', '')
    redis.call('ZREMRANGEBYSCORE', claim.key, '-inf', '(' .. start)
    redis.call('EXPIRE', claim.key, claim.lifetime)
  end
  for e, effect in ipairs(lead.effects) do apply(effect, KEYS[lead.effects_at + e]) end
  leads_today = leads_today + lead.first_today
  escalated_today = escalated_today + lead.escalations
  return table.concat(ids, ' ')
end

local results = {}
local key_index = 6 + ceilings
for l, packed in ipairs(leads) do
  local lead = read_lead(packed, key_index)
  results[l] = refusal(lead) or write(lead)
  key_index = key_index + 1 + #lead.decisions + #lead.events + #lead.effects
end
if leads_today .. ' ' .. escalated_today ~= counts_before then
  redis.call('HSET', KEYS[3], 'leads', leads_today, 'escalated', escalated_today)
  redis.call('EXPIRE', KEYS[3], day_seconds)
end
return results
