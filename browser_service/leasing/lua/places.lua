-- Answers the places: address, node, capacity, healthy, draining, boot, slots held, microseconds until it is gone.

if changed then
  match()
end
local places = {}
for i, address in ipairs(redis.call('ZRANGE', name('places'), 0, -1)) do
  local f = redis.call('HMGET', name('place', address), 'node', 'capacity', 'healthy', 'draining', 'boot')
  places[i] = { address, f[1], f[2], f[3], f[4], f[5] or '', redis.call('HLEN', name('slots', address)),
    redis.call('ZSCORE', name('places'), address) - now }
end
return places
