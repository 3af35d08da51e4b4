-- ARGV 3: lease. It is over. Answers the lease, or nothing if there is no such lease.

local ended = lease_exists(ARGV[3]) and lease_row(ARGV[3])
changed = end_lease(ARGV[3]) or changed
if changed then
  match()
end
return ended
