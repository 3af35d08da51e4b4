-- ARGV 3: a report as JSON. Applies it to the ledger.

local report = cjson.decode(ARGV[3])
local address = report.instance
local instance = name('instance', address)

local function flag(value)
  return value and '1' or '0'
end

local function is_overtaken()
  local f = redis.call('HMGET', instance, 'boot', 'number')
  return report.number > 0 and f[1] == report.boot and report.number <= tonumber(f[2])
end

local function note_instance()
  redis.call('HSET', instance, 'node', report.node, 'capacity', report.capacity, 'healthy', flag(report.healthy),
    'draining', flag(report.draining), 'boot', report.boot, 'number', report.number)
  redis.call('ZADD', name('instances'), now + report.ttl_s * 1000000, address)
end

-- Generations never go back, whatever was forgotten.
local function note_generation()
  local newest = report.generation
  for _, live in ipairs(report.live) do
    newest = math.max(newest, live.generation)
  end
  if newest > tonumber(redis.call('HGET', name('generations'), address) or 0) then
    redis.call('HSET', name('generations'), address, newest)
  end
  redis.call('EXPIRE', name('generations'), WEEK_S)
end

local function end_unreported()
  local reported = {}
  for _, live in ipairs(report.live) do
    reported[live.lease_id] = true
  end
  for _, id in ipairs(redis.call('HVALS', name('slots', address))) do
    if not reported[id] and redis.call('HGET', name('lease', id), 'active') == '1' then
      end_lease(id)
    end
  end
end

local function take_in(live)
  local id, slot, over = live.lease_id, tostring(live.slot), now + live.expires_in_s * 1000000
  local known = redis.call('HMGET', name('lease', id), 'instance', 'slot')
  if known[1] == address and known[2] == slot then
    redis.call('HSET', name('lease', id), 'active', '1', 'until', over)
    redis.call('ZREM', name('granted'), id)
    return
  end
  local rival = redis.call('HGET', name('slots', address), slot)
  if rival and tonumber(redis.call('HGET', name('lease', rival), 'generation')) > live.generation then
    return -- the slot was given out again after this lease ended, while the report was on its way
  end
  if known[1] then
    end_lease(id)
  end
  if rival then
    forget_lease(rival)
  end
  local key = live.idempotency_key or ''
  enter_lease(id, {
    instance = address, slot = slot, generation = live.generation, owner = live.owner, share = live.share, key = key,
    needs_token = flag(live.needs_token), active = '1', over = over, batch = live.batch, ticket = '',
    request = '', -- only those that were given out here have one
  })
end

-- Final, however late the report comes.
for _, id in ipairs(report.ended) do
  if redis.call('HGET', name('lease', id), 'instance') == address then
    changed = end_lease(id) or changed
  end
end

if not is_overtaken() then
  note_instance()
  note_generation()
  end_unreported()
  for _, live in ipairs(report.live) do
    take_in(live)
  end
  sweep()
  changed = true
end

if changed then
  match()
end
