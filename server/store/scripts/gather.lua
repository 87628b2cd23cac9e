-- Reads, at one instant, what a batch of decisions in one partition is made from, but for leads and decisions: their values the caller reads
-- right before, as each would be copied four times on its way through here. Writes nothing, but for a manual clock (development mode), which it
-- may move forward.
--
-- KEYS  1 log · 2 clock · 3 today's counts · 4 tomorrow's counts · 5 what records' keys begin with · 6 what decisions' keys begin with
--       · C ceilings · further keys… The fifth and sixth are here so that a store that forbids to write any of a kind says so now
-- ARGV  1 clock: 'store', 'manual', or the instant in ms to move a manual clock to
--       2 the instant in ms at which tomorrow begins · 3 C
--       then for each ceiling: rolling length in ms (0: calendar) · window start · next window's start · maximum
-- Returns {now, further[], {used, release instant or ''} for each ceiling, leads decided today, escalated today}
-- Missing values are false (nil to the caller). `now` never lies before the log's newest entry, and so never before what a record that was read
-- earlier can tell of: time does not run backwards.

local MOST_VALUES = 4000  -- Lua unpacks no more than 8,000 at once

local function last_log_ms(log)
  local info = redis.pcall('XINFO', 'STREAM', log)
  if info.err then return 0 end
  for field = 1, #info, 2 do
    if info[field] == 'last-generated-id' then return tonumber(string.match(info[field + 1], '^%d+')) end
  end
  return 0
end

local function store_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now
if ARGV[1] == 'store' then
  now = store_ms()
else
  local kept = tonumber(redis.call('GET', KEYS[2]) or '0')
  now = kept
  if ARGV[1] ~= 'manual' then
    now = math.max(kept, tonumber(ARGV[1]))
    if now > kept then redis.call('SET', KEYS[2], string.format('%.0f', now)) end
  end
  if now == 0 then now = store_ms() end
end
now = math.max(now, last_log_ms(KEYS[1]))

local ceilings = tonumber(ARGV[3])
local readings = {}
for c = 1, ceilings do
  local key = KEYS[6 + c]
  local at = 3 + (c - 1) * 4
  local rolling, start, boundary, maximum =
    tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  if rolling > 0 then
    start = now - rolling
  elseif now >= boundary then
    start = boundary
  end
  -- A calendar's first instant counts; a rolling window is half open, (now - length, now].
  local low = string.format(rolling > 0 and '(%.0f' or '%.0f', start)
  local used = redis.call('ZCOUNT', key, low, '+inf')
  local release = ''
  if rolling > 0 and maximum > 0 and used >= maximum then
    local oldest = redis.call('ZRANGEBYSCORE', key, low, '+inf', 'WITHSCORES', 'LIMIT', used - maximum, 1)
    release = string.format('%.0f', tonumber(oldest[2]) + rolling)
  end
  readings[c] = { used, release }
end

-- Returns what lies under KEYS[first] to KEYS[last]. One command for many keys: most of a command's time goes into calling it.
local function values(first, last)
  if first > last then return {} end
  local found = redis.call('MGET', unpack(KEYS, first, math.min(first + MOST_VALUES - 1, last)))
  for from = first + MOST_VALUES, last, MOST_VALUES do
    local piece = redis.call('MGET', unpack(KEYS, from, math.min(from + MOST_VALUES - 1, last)))
    for p = 1, #piece do found[from - first + p] = piece[p] end
  end
  return found
end

local today = now >= tonumber(ARGV[2]) and KEYS[4] or KEYS[3]
local counts = redis.call('HMGET', today, 'leads', 'escalated')
return { string.format('%.0f', now), values(7 + ceilings, #KEYS), readings, tonumber(counts[1] or '0'), tonumber(counts[2] or '0') }
