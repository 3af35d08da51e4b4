-- Answers the instances: address, node, capacity, healthy, draining, boot, slots held, microseconds until it is gone.

if changed then
  match()
end
local instances = {}
for i, address in ipairs(redis.call('ZRANGE', name('instances'), 0, -1)) do
  local f = redis.call('HMGET', name('instance', address), 'node', 'capacity', 'healthy', 'draining', 'boot')
  instances[i] = { address, f[1], f[2], f[3], f[4], f[5] or '', redis.call('HLEN', name('slots', address)),
    redis.call('ZSCORE', name('instances'), address) - now }
end
return instances
