-- Answers the leases that were forgotten since the last time, each as JSON.

if changed then
  match()
end
local forgotten = redis.call('LRANGE', name('forgotten'), 0, -1)
redis.call('DEL', name('forgotten'))
return forgotten
