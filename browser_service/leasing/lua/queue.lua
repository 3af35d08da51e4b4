-- The line of those who wait: fair over shares, first come first served within a share.

-- The ticket stands in line, where its age puts it, and is not silent.
local function keep_ticket(t)
  redis.call('ZADD', name('tickets'), now + SILENCE, t.id)
  if redis.call('EXISTS', name('ticket', t.id)) == 1 then
    return false
  end
  redis.call('HSET', name('ticket', t.id), 'ids', t.ids, 'count', t.count, 'share', t.share, 'key', t.key,
    'owner', t.owner, 'needs_token', t.needs_token, 'request', t.request, 'since', t.since)
  redis.call('ZADD', name('line', t.share), t.since, t.id)
  redis.call('SADD', name('lines'), t.share)
  if t.key ~= '' then
    redis.call('SADD', name('asking', t.key), t.id)
  end
  return true
end

local function leave(ticket)
  local f = redis.call('HMGET', name('ticket', ticket), 'share', 'key')
  redis.call('ZREM', name('tickets'), ticket)
  if not f[1] then
    return false
  end
  redis.call('DEL', name('ticket', ticket))
  redis.call('ZREM', name('line', f[1]), ticket)
  if redis.call('EXISTS', name('line', f[1])) == 0 then
    redis.call('SREM', name('lines'), f[1])
  end
  if f[2] ~= '' then
    redis.call('SREM', name('asking', f[2]), ticket)
  end
  if redis.call('GET', name('kept_for')) == ticket then
    redis.call('DEL', name('kept_for'))
  end
  return true
end

-- The first of a share's line that can ever be served.
local function head_of(share, capacity)
  local line = name('line', share)
  for i = 0, redis.call('ZCARD', line) - 1 do
    local ticket, since = unpack(redis.call('ZRANGE', line, i, i, 'WITHSCORES'))
    local f = redis.call('HMGET', name('ticket', ticket), 'count', 'key')
    if tonumber(f[1]) <= capacity then
      return { id = ticket, since = tonumber(since), count = tonumber(f[1]), key = f[2], share = share }
    end
  end
  return nil
end

local function is_before(a, b, leases_by_share)
  local count_a, count_b = leases_by_share[a.share] or 0, leases_by_share[b.share] or 0
  if count_a ~= count_b then
    return count_a < count_b
  end
  if a.since ~= b.since then
    return a.since < b.since
  end
  return a.id < b.id
end

-- The heads of all lines.
local function heads_of_lines(capacity)
  local heads = {}
  for _, share in ipairs(redis.call('SMEMBERS', name('lines'))) do
    heads[share] = head_of(share, capacity)
  end
  return heads
end

-- Leases by share.
local function read_leases_by_share()
  local leases_by_share, flat = {}, redis.call('HGETALL', name('leases_by_share'))
  for i = 1, #flat, 2 do
    leases_by_share[flat[i]] = tonumber(flat[i + 1])
  end
  return leases_by_share
end

-- Whose turn it is: the one that keeps what comes free, or the head of the line whose share holds the fewest leases.
local function next_in_line(heads, leases_by_share, capacity)
  local kept = redis.call('GET', name('kept_for'))
  if kept then
    local f = redis.call('HMGET', name('ticket', kept), 'count', 'key', 'share')
    if f[1] and tonumber(f[1]) <= capacity then
      return { id = kept, count = tonumber(f[1]), key = f[2], share = f[3] }
    end
  end
  local first = nil
  for _, head in pairs(heads) do
    if not first or is_before(head, first, leases_by_share) then
      first = head
    end
  end
  return first
end
