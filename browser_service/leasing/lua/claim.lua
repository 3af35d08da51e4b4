-- ARGV 3..: ids, share, key, owner, needs_token, request, since, when to give up.
-- Answers 'granted' with the leases, 'waiting', 'void', 'mismatch' with the number of leases that its key has, or
-- 'no_capacity' with the slots of all open places.

local ids = each_word(ARGV[3])
local key = ARGV[5]

local function given()
  local own = leases_of_ticket(ids)
  if #own > 0 and #own < #ids then
    -- A place went away with some of them: all or none.
    changed = take_back(ids) or changed
    own = leases_of_ticket(ids)
  end
  return #own > 0 and own or leases_with_key(key)
end

local function leave_for_good()
  changed = leave(ids[1]) or changed
  changed = take_back(ids) or changed
  if changed then
    match()
  end
end

local function answer_given(found)
  if #found ~= #ids then
    leave_for_good()
    return { 'mismatch', #found }
  end
  local was_in_line = leave(ids[1])
  for _, id in ipairs(found) do
    claim_lease(id)
  end
  if changed or was_in_line then
    match()
  end
  return { 'granted', rows(found) }
end

if tonumber(redis.call('GET', name('void', ids[1])) or 0) > now then
  leave_for_good()
  return { 'void' }
end

local found = given()
if #found > 0 then
  return answer_given(found)
end

changed = keep_ticket({
  id = ids[1], ids = ARGV[3], count = #ids, share = ARGV[4], key = key, owner = ARGV[6], needs_token = ARGV[7],
  request = ARGV[8], since = tonumber(ARGV[9]),
}) or changed
if changed then
  match()
  found = given()
  if #found > 0 then
    return answer_given(found)
  end
end

if now >= tonumber(ARGV[10]) then
  local _, capacity = open_places()
  changed = true
  leave_for_good()
  return { 'no_capacity', capacity }
end
return { 'waiting' }
