-- ARGV 3..: ids, share, key, owner, needs_token, request, limit in all, limit of a share.
-- Answers when the ticket joined the line, or which limit refused it: 'total' or 'share'.

local ids = each_word(ARGV[3])
local share, key = ARGV[4], ARGV[5]
local answer = now

if #leases_with_key(key) == 0 and not lease_exists(ids[1]) then
  local line = name('line', share)
  if redis.call('EXISTS', name('ticket', ids[1])) == 1 then
    answer = tonumber(redis.call('HGET', name('ticket', ids[1]), 'since'))
  elseif redis.call('ZCARD', name('tickets')) >= tonumber(ARGV[9]) then
    answer = 'total'
  elseif redis.call('ZCARD', line) >= tonumber(ARGV[10]) then
    answer = 'share'
  else
    changed = keep_ticket({
      id = ids[1], ids = ARGV[3], count = #ids, share = share, key = key, owner = ARGV[6], needs_token = ARGV[7],
      request = ARGV[8], since = now,
    }) or changed
  end
end

if changed then
  match()
end
return answer
