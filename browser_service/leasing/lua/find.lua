-- ARGV 3: idempotency key. Answers its leases.

if changed then
  match()
end
return rows(leases_with_key(ARGV[3]))
