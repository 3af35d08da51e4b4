-- Time passes, and free slots go to those whose turn it is. `changed` says that there may be something to give.

-- Were the clock set back, nothing may stay for longer than it ever could.
local function clamp(key, longest)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', now + longest), '+inf')) do
    redis.call('ZADD', key, now + longest, member)
  end
end

local function forget_instance(address)
  for _, id in ipairs(redis.call('HVALS', name('slots', address))) do
    forget_lease(id)
  end
  redis.call('ZREM', name('instances'), address)
  redis.call('DEL', name('instance', address), name('slots', address))
end

-- Removes unclaimed grants, lost instances and tickets without a waiting client.
local function sweep()
  clamp(name('granted'), GRACE)
  clamp(name('tickets'), SILENCE)
  clamp(name('instances'), 600 * 1000000)
  local changed = false
  for _, address in ipairs(redis.call('ZRANGEBYSCORE', name('instances'), '-inf', now)) do
    forget_instance(address)
    changed = true
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', name('granted'), '-inf', now)) do
    forget_lease(id)
    changed = true
  end
  for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', name('tickets'), '-inf', now)) do
    changed = leave(ticket) or changed
  end
  return changed
end

local function match()
  if redis.call('ZCARD', name('tickets')) == 0 then
    return
  end
  local instances, capacity, free = open_instances()
  local heads, leases_by_share = nil, read_leases_by_share()
  while free > 0 do
    heads = heads or heads_of_lines(capacity)
    local turn = next_in_line(heads, leases_by_share, capacity)
    if not turn then
      return
    end
    if #leases_with_key(turn.key) == 0 then
      if turn.count > free then
        redis.call('SET', name('kept_for'), turn.id)
        return
      end
      give(turn.id, instances)
      free = free - turn.count
      leases_by_share[turn.share] = (leases_by_share[turn.share] or 0) + turn.count
    end
    leave(turn.id)
    heads[turn.share] = head_of(turn.share, capacity)
    redis.call('PUBLISH', name('turns'), turn.id)
  end
end

local changed = sweep()
