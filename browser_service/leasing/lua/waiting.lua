-- Answers how many tickets are in line.

if changed then
  match()
end
return redis.call('ZCARD', name('tickets'))
