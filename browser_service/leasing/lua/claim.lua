-- ARGV 3..: ids, share, key, owner, needs_token, request, since, when to give up.
-- Answers 'granted' with the leases and those of their key that were ended, 'waiting', 'void', 'mismatch' with the number of leases that its key has, or
-- 'no_capacity' with the slots of all open instances.

local ids = each_word(ARGV[3])
local key = ARGV[5]

local function known_leases()
  local own = leases_of_ticket(ids)
  if #own > 0 and #own < #ids then
    -- An instance went away with some of them: all or none.
    changed = take_back(ids) or changed
    own = leases_of_ticket(ids)
  end
  return key == '' and own or leases_with_key(key)
end

-- What `superseded.py` explains: larger for the lease that is rather kept.
local function standing(id)
  local f = redis.call('HMGET', name('lease', id), 'ticket', 'request', 'until', 'instance', 'slot')
  local rank = f[1] ~= '' and 0 or f[2] == '' and 1 or 2
  return { rank, tonumber(f[3]), f[4], tonumber(f[5]) }
end

local function is_rather_kept(a, b)
  for i, part in ipairs(a) do
    if part ~= b[i] then
      return part > b[i]
    end
  end
  return false
end

-- Of the leases of one key all of one batch, as many as were asked for, and the rest. Nil: no batch is of that size.
local function which_answer(known)
  local batches, kept, best = {}, nil, nil
  for _, id in ipairs(known) do
    local batch = redis.call('HGET', name('lease', id), 'batch')
    batches[batch] = batches[batch] or {}
    table.insert(batches[batch], id)
  end
  for batch, members in pairs(batches) do
    for _, id in ipairs(#members == #ids and members or {}) do
      local this = standing(id)
      if not best or is_rather_kept(this, best) then
        kept, best = batch, this
      end
    end
  end
  local rest = {}
  for batch, members in pairs(batches) do
    for _, id in ipairs(batch ~= kept and members or {}) do
      rest[#rest + 1] = id
    end
  end
  return kept and batches[kept], rest
end

local function leave_for_good()
  changed = leave(ids[1]) or changed
  changed = take_back(ids) or changed
  if changed then
    match()
  end
end

local function answer_known(known)
  local kept, rest = which_answer(known)
  if not kept then
    leave_for_good()
    return { 'mismatch', #known }
  end
  local was_in_line = leave(ids[1])
  for _, id in ipairs(kept) do
    claim_lease(id)
  end
  local superseded = rows(rest)
  for _, id in ipairs(rest) do
    end_lease(id)
  end
  if changed or was_in_line or #rest > 0 then
    match()
  end
  return { 'granted', rows(kept), superseded }
end

if tonumber(redis.call('GET', name('void', ids[1])) or 0) > now then
  leave_for_good()
  return { 'void' }
end

local known = known_leases()
if #known > 0 then
  return answer_known(known)
end

changed = keep_ticket({
  id = ids[1], ids = ARGV[3], count = #ids, share = ARGV[4], key = key, owner = ARGV[6], needs_token = ARGV[7],
  request = ARGV[8], since = tonumber(ARGV[9]),
}) or changed
if changed then
  match()
  known = known_leases()
  if #known > 0 then
    return answer_known(known)
  end
end

if now >= tonumber(ARGV[10]) then
  local _, capacity = open_instances()
  changed = true
  leave_for_good()
  return { 'no_capacity', capacity }
end
return { 'waiting' }
