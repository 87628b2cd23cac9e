-- Commits the decisions of many leads of one partition; each lead's either wholly or not at all.
-- For one lead everything is checked before anything is written, since a script is never rolled back.
--
-- KEYS  1 log · 2 clock · 3 the day's counts · ceilings… · then for each lead its record and its decisions' keys
-- ARGV  1 clock: 'store' or 'manual' · 2 lifetime of a decision's key in seconds · 3 lifetime of the day's counts in seconds
--       4 number of ceilings · 5 number of leads, then for each lead:
--         expected version · new record · valid until in ms ('' for ever) · first decision of the day (0 or 1)
--         · escalations · largest share of escalations · number of claims · number of decisions
--         for each claim:     ceiling's index · amount · maximum · window start, '(' before it if open · lifetime in seconds
--         for each decision:  request fingerprint · decision · rules that hit · inputs
-- Returns for each lead its new log ids, joined by blanks ('' if it had no decisions), or why it was not written:
--   'CONFLICT' (record changed) · 'LATE' (valid no more) · 'DUPLICATE' (request known) · 'CEILING' (used up meanwhile)

local cursor = 5
local function take()
  cursor = cursor + 1
  return ARGV[cursor]
end

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
if ARGV[1] == 'manual' then now = tonumber(redis.call('GET', KEYS[2]) or '0') end
if now == 0 then now = store_ms() end
now = math.max(now, last_log_ms(KEYS[1]))
local log_ms = string.format('%.0f', now) .. '-*'

local function read_lead(key_index)
  local lead = {
    key = KEYS[key_index], version = take(), record = take(), valid_until = take(),
    first_today = tonumber(take()), escalations = tonumber(take()), share = tonumber(take()),
    claims = {}, decisions = {},
  }
  local claims, decisions = tonumber(take()), tonumber(take())
  for c = 1, claims do
    lead.claims[c] = {
      key = KEYS[3 + tonumber(take())], amount = tonumber(take()), maximum = tonumber(take()),
      start = take(), lifetime = take(),
    }
  end
  for d = 1, decisions do
    lead.decisions[d] = { key = KEYS[key_index + d], fingerprint = take(), decision = take(), hits = take(), inputs = take() }
  end
  return lead
end

local function refusal(lead)
  local stored = redis.call('GET', lead.key)
  local version, log_id = '0', '0-0'
  if stored then version, log_id = string.match(stored, '^(%d+) ([%d%-]+)\n') end
  if version ~= lead.version then return 'CONFLICT' end
  lead.log_id = log_id
  if lead.valid_until ~= '' and now >= tonumber(lead.valid_until) then return 'LATE' end
  for _, decision in ipairs(lead.decisions) do
    if redis.call('EXISTS', decision.key) == 1 then return 'DUPLICATE' end
  end
  for _, claim in ipairs(lead.claims) do
    if redis.call('ZCOUNT', claim.key, claim.start, '+inf') + claim.amount > claim.maximum then return 'CEILING' end
  end
  if lead.escalations > 0 then
    local counts = redis.call('HMGET', KEYS[3], 'leads', 'escalated')
    local decided = tonumber(counts[1] or '0') + lead.first_today
    local allowed = math.max(1, math.floor(lead.share * decided + 1e-9))
    if tonumber(counts[2] or '0') + lead.escalations > allowed then return 'CEILING' end
  end
  return nil
end

local function write(lead)
  local ids = {}
  for d, decision in ipairs(lead.decisions) do
    lead.log_id = redis.call('XADD', KEYS[1], log_ms, 'd', decision.decision, 't', decision.hits,
      'i', decision.inputs, 'p', lead.log_id)
    ids[d] = lead.log_id
    redis.call('SET', decision.key, decision.fingerprint .. lead.log_id, 'EX', ARGV[2])
  end
  redis.call('SET', lead.key, string.format('%.0f', tonumber(lead.version) + 1) .. ' ' .. lead.log_id .. '\n' .. lead.record)
  for _, claim in ipairs(lead.claims) do
    for unit = 1, claim.amount do
      redis.call('ZADD', claim.key, string.format('%.0f', now), ids[#ids] .. '/' .. unit)
    end
    local start = string.gsub(claim.start, '%(', '')
    redis.call('ZREMRANGEBYSCORE', claim.key, '-inf', '(' .. start)
    redis.call('EXPIRE', claim.key, claim.lifetime)
  end
  if lead.first_today + lead.escalations > 0 then
    redis.call('HINCRBY', KEYS[3], 'leads', lead.first_today)
    redis.call('HINCRBY', KEYS[3], 'escalated', lead.escalations)
    redis.call('EXPIRE', KEYS[3], ARGV[3])
  end
  return table.concat(ids, ' ')
end

local results = {}
local key_index = 4 + tonumber(ARGV[4])
for l = 1, tonumber(ARGV[5]) do
  local lead = read_lead(key_index)
  results[l] = refusal(lead) or write(lead)
  key_index = key_index + 1 + #lead.decisions
end
return results
