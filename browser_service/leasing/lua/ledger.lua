-- Which instance holds which lease in which slot.

local function lease_exists(id)
  return redis.call('EXISTS', name('lease', id)) == 1
end

-- A lease as the store's other half reads it: id, instance, slot, generation, owner, share, key, needs_token, active,
-- microseconds left, batch, request.
local function lease_row(id)
  local f = redis.call('HMGET', name('lease', id), 'instance', 'slot', 'generation', 'owner', 'share', 'key', 'needs_token',
    'active', 'until', 'batch', 'request')
  return { id, f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], math.max(0, f[9] - now), f[10], f[11] }
end

local function rows(ids)
  local found = {}
  for i, id in ipairs(ids) do
    found[i] = lease_row(id)
  end
  return found
end

local function leases_with_key(key)
  return key == '' and {} or redis.call('LRANGE', name('key', key), 0, -1)
end

local function enter_lease(id, f)
  redis.call('HSET', name('lease', id), 'instance', f.instance, 'slot', f.slot, 'generation', f.generation, 'owner', f.owner,
    'share', f.share, 'key', f.key, 'needs_token', f.needs_token, 'active', f.active, 'until', f.over, 'batch', f.batch,
    'request', f.request, 'ticket', f.ticket)
  redis.call('HSET', name('slots', f.instance), f.slot, id)
  redis.call('HINCRBY', name('leases_by_share'), f.share, 1)
  if f.active == '0' then
    redis.call('ZADD', name('granted'), f.over, id)
  end
  if f.key ~= '' then
    redis.call('RPUSH', name('key', f.key), id)
  end
end

local function end_lease(id)
  local f = redis.call('HMGET', name('lease', id), 'instance', 'slot', 'share', 'key')
  if not f[1] then
    return false
  end
  redis.call('DEL', name('lease', id))
  redis.call('HDEL', name('slots', f[1]), f[2])
  redis.call('ZREM', name('granted'), id)
  if redis.call('HINCRBY', name('leases_by_share'), f[3], -1) <= 0 then
    redis.call('HDEL', name('leases_by_share'), f[3])
  end
  if f[4] ~= '' then
    redis.call('LREM', name('key', f[4]), 0, id)
  end
  return true
end

-- Ends a lease that its instance has not reported as ended; the next reap returns it.
local function forget_lease(id)
  local row = lease_row(id)
  row[10] = string.format('%.0f', row[10])
  redis.call('RPUSH', name('forgotten'), cjson.encode(row))
  redis.call('LTRIM', name('forgotten'), -REMEMBERED, -1)
  end_lease(id)
end

-- Marks the grant as claimed; from now on its instance has time to report it.
local function claim_lease(id)
  local f = redis.call('HMGET', name('lease', id), 'ticket', 'active')
  if f[1] ~= '' and f[2] == '0' then
    redis.call('HSET', name('lease', id), 'until', now + GRACE)
    redis.call('ZADD', name('granted'), now + GRACE, id)
  end
  redis.call('HSET', name('lease', id), 'ticket', '')
end

-- The leases of a ticket; those that nobody has claimed yet are ended by `take_back`.
local function leases_of_ticket(ids)
  local found = {}
  for _, id in ipairs(ids) do
    if lease_exists(id) then
      found[#found + 1] = id
    end
  end
  return found
end

local function take_back(ids)
  local any = false
  for _, id in ipairs(ids) do
    local ticket = redis.call('HGET', name('lease', id), 'ticket')
    if ticket and ticket ~= '' then
      any = end_lease(id) or any
    end
  end
  return any
end

-- Open instances by address with their free slots, and the slots of all of them together, free or not.
local function open_instances()
  local instances, capacity, free = {}, 0, 0
  for _, address in ipairs(redis.call('ZRANGE', name('instances'), 0, -1)) do
    local f = redis.call('HMGET', name('instance', address), 'capacity', 'healthy', 'draining')
    if f[2] == '1' and f[3] == '0' then
      local taken = {}
      for _, slot in ipairs(redis.call('HKEYS', name('slots', address))) do
        taken[slot] = true
      end
      local instance = { address = address, free = {} }
      for slot = 0, f[1] - 1 do
        if not taken[tostring(slot)] then
          instance.free[#instance.free + 1] = slot
        end
      end
      instances[#instances + 1] = instance
      capacity, free = capacity + f[1], free + #instance.free
    end
  end
  table.sort(instances, function(a, b) return a.address < b.address end)
  return instances, capacity, free
end

-- Gives the ticket all its slots, each from the emptiest instance. Needs enough free slots.
local function give(ticket, instances)
  local f = redis.call('HMGET', name('ticket', ticket), 'ids', 'share', 'key', 'owner', 'needs_token', 'request')
  for _, id in ipairs(each_word(f[1])) do
    local emptiest = instances[1]
    for _, instance in ipairs(instances) do
      if #instance.free > #emptiest.free then
        emptiest = instance
      end
    end
    enter_lease(id, {
      instance = emptiest.address,
      slot = table.remove(emptiest.free, 1),
      generation = redis.call('HINCRBY', name('generations'), emptiest.address, 1),
      share = f[2], key = f[3], owner = f[4], needs_token = f[5], request = f[6],
      active = '0', over = now + GRACE, batch = ticket, ticket = ticket,
    })
  end
  redis.call('EXPIRE', name('generations'), WEEK_S)
end
