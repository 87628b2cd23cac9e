-- Removes the log's oldest decisions: those older than the retention, counted back from the newest, and those beyond the longest length.
-- What a subscription had not acknowledged is counted as its gap in the same step.
--
-- KEYS  1 log · 2 the last log id that went · 3 gaps
-- ARGV  1 retention in ms · 2 longest length · 3 how many at once
-- Returns {how many went, how many unacknowledged ones of all subscriptions, the last log id that went}.

local log, trimmed, gaps = unpack(KEYS)

local function parts(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end

local function is_after(id, other)
  local ms, sequence = parts(id)
  local other_ms, other_sequence = parts(other)
  return ms > other_ms or (ms == other_ms and sequence > other_sequence)
end

local function going()
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if not newest then return {} end
  local cutoff, length, ids = parts(newest[1]) - tonumber(ARGV[1]), redis.call('XLEN', log), {}
  for place, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', ARGV[3])) do
    if parts(entry[1]) >= cutoff and length - place < tonumber(ARGV[2]) then break end
    ids[place] = entry[1]
  end
  return ids
end

local function unacknowledged(group, ids)
  local missed = {}
  for _, pending in ipairs(redis.call('XPENDING', log, group.name, '-', ids[#ids], ARGV[3])) do
    missed[#missed + 1] = pending[1]
    redis.call('XACK', log, group.name, pending[1])
  end
  for _, id in ipairs(ids) do
    if is_after(id, group['last-delivered-id']) then missed[#missed + 1] = id end
  end
  return missed
end

local function note_gap(name, missed)
  local packed = redis.call('HGET', gaps, name)
  local gap = packed and cmsgpack.unpack(packed) or { missed = 0, first = missed[1], due = 0, attempt = 0, handed = 0 }
  gap.missed, gap.last, gap.fresh = gap.missed + #missed, missed[#missed], gap.fresh or missed[1]
  redis.call('HSET', gaps, name, cmsgpack.pack(gap))
end

local ids = going()
if #ids == 0 then return { 0, 0, '' } end
local lost = 0
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', log)) do
  local group = {}
  for f = 1, #fields, 2 do group[fields[f]] = fields[f + 1] end
  local missed = unacknowledged(group, ids)
  if #missed > 0 then note_gap(group.name, missed) end
  lost = lost + #missed
end
local ms, sequence = parts(ids[#ids])
redis.call('SET', trimmed, ids[#ids])
redis.call('XTRIM', log, 'MINID', '=', string.format('%.0f-%.0f', ms, sequence + 1))
return { #ids, lost, ids[#ids] }
