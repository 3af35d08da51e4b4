-- Which place holds which lease in which slot.

local function lease_exists(id)
  return redis.call('EXISTS', name('lease', id)) == 1
end

-- A lease as the store's other half reads it: id, place, slot, generation, owner, share, key, needs_token, active,
-- microseconds left, batch, request.
local function lease_row(id)
  local f = redis.call('HMGET', name('lease', id), 'place', 'slot', 'generation', 'owner', 'share', 'key', 'needs_token',
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
  redis.call('HSET', name('lease', id), 'place', f.place, 'slot', f.slot, 'generation', f.generation, 'owner', f.owner,
    'share', f.share, 'key', f.key, 'needs_token', f.needs_token, 'active', f.active, 'until', f.over, 'batch', f.batch,
    'request', f.request, 'ticket', f.ticket)
  redis.call('HSET', name('slots', f.place), f.slot, id)
  redis.call('HINCRBY', name('held'), f.share, 1)
  if f.active == '0' then
    redis.call('ZADD', name('granted'), f.over, id)
  end
  if f.key ~= '' then
    redis.call('RPUSH', name('key', f.key), id)
  end
end

local function end_lease(id)
  local f = redis.call('HMGET', name('lease', id), 'place', 'slot', 'share', 'key')
  if not f[1] then
    return false
  end
  redis.call('DEL', name('lease', id))
  redis.call('HDEL', name('slots', f[1]), f[2])
  redis.call('ZREM', name('granted'), id)
  if redis.call('HINCRBY', name('held'), f[3], -1) <= 0 then
    redis.call('HDEL', name('held'), f[3])
  end
  if f[4] ~= '' then
    redis.call('LREM', name('key', f[4]), 0, id)
  end
  return true
end

-- A lease that ends without its place having said so: whoever reaps is told.
local function forget_lease(id)
  local row = lease_row(id)
  row[10] = string.format('%.0f', row[10])
  redis.call('RPUSH', name('forgotten'), cjson.encode(row))
  redis.call('LTRIM', name('forgotten'), -REMEMBERED, -1)
  end_lease(id)
end

-- Somebody took the grant; from now on its place has time to report it.
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

-- Open places by address with their free slots, and the slots of all of them together, free or not.
local function open_places()
  local places, capacity, free = {}, 0, 0
  for _, address in ipairs(redis.call('ZRANGE', name('places'), 0, -1)) do
    local f = redis.call('HMGET', name('place', address), 'capacity', 'healthy', 'draining')
    if f[2] == '1' and f[3] == '0' then
      local held = {}
      for _, slot in ipairs(redis.call('HKEYS', name('slots', address))) do
        held[slot] = true
      end
      local place = { address = address, free = {} }
      for slot = 0, f[1] - 1 do
        if not held[tostring(slot)] then
          place.free[#place.free + 1] = slot
        end
      end
      places[#places + 1] = place
      capacity, free = capacity + f[1], free + #place.free
    end
  end
  table.sort(places, function(a, b) return a.address < b.address end)
  return places, capacity, free
end

-- All that the ticket asks for, each from the emptiest place. There must be enough free slots.
local function give(ticket, places)
  local f = redis.call('HMGET', name('ticket', ticket), 'ids', 'share', 'key', 'owner', 'needs_token', 'request')
  for _, id in ipairs(each_word(f[1])) do
    local emptiest = places[1]
    for _, place in ipairs(places) do
      if #place.free > #emptiest.free then
        emptiest = place
      end
    end
    enter_lease(id, {
      place = emptiest.address,
      slot = table.remove(emptiest.free, 1),
      generation = redis.call('HINCRBY', name('generations'), emptiest.address, 1),
      share = f[2], key = f[3], owner = f[4], needs_token = f[5], request = f[6],
      active = '0', over = now + GRACE, batch = ticket, ticket = ticket,
    })
  end
  redis.call('EXPIRE', name('generations'), WEEK_S)
end
