-- ARGV 3: idempotency key. Its tickets are void and its leases ended. Answers the leases.

local key = ARGV[3]
local void = redis.call('SMEMBERS', name('asking', key))
for _, ticket in ipairs(void) do
  leave(ticket)
end
local ids = leases_with_key(key)
local ended = rows(ids)
for _, id in ipairs(ids) do
  local ticket = redis.call('HGET', name('lease', id), 'ticket')
  if ticket ~= '' then
    void[#void + 1] = ticket
  end
  end_lease(id)
end
for _, ticket in ipairs(void) do
  redis.call('SET', name('void', ticket), now + 2 * SILENCE, 'PX', 2 * SILENCE / 1000)
  redis.call('PUBLISH', name('turns'), ticket)
end
match()
return ended
