-- ARGV 3: notices as JSON. Puts them up, takes down those that are over, and answers what hangs there.

if changed then
  match()
end
local board, now_ms, posted = name('board'), math.floor(now / 1000), {}

for _, notice in ipairs(cjson.decode(ARGV[3])) do
  local field = notice.kind .. '|' .. notice.name
  local known = redis.call('HGET', board, field)
  if not known or notice.version >= cjson.decode(known).version then
    notice.at = now_ms
    redis.call('HSET', board, field, cjson.encode(notice))
  end
end

for _, text in ipairs(redis.call('HVALS', board)) do
  local notice = cjson.decode(text)
  notice.age_ms = now_ms - notice.at
  if notice.age_ms >= notice.ttl_ms then
    redis.call('HDEL', board, notice.kind .. '|' .. notice.name)
  else
    posted[#posted + 1] = cjson.encode(notice)
  end
end
redis.call('EXPIRE', board, WEEK_S)
return posted
