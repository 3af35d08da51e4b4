-- Answers the live leases.

if changed then
  match()
end
local ids = {}
for _, address in ipairs(redis.call('ZRANGE', name('instances'), 0, -1)) do
  for _, id in ipairs(redis.call('HVALS', name('slots', address))) do
    ids[#ids + 1] = id
  end
end
return rows(ids)
