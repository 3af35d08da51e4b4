-- What every script of the lease store begins with. The whole decision is made here, in one step, on the time of Redis.
--
--   instances              sorted set  address -> when it is gone
--   instance:<address>     hash        its newest report, without the leases
--   slots:<address>     hash        slot -> lease
--   generations         hash        address -> newest generation, also of instances that are gone and may come back
--   lease:<id>          hash        one lease, granted or active
--   granted             sorted set  lease that no instance has reported yet -> when it is over
--   leases_by_share     hash        share -> number of leases
--   key:<key>           list        leases of an idempotency key
--   ticket:<id>         hash        one ticket in line
--   tickets             sorted set  ticket -> when it will have been silent for too long
--   line:<share>        sorted set  ticket -> since when it waits
--   lines               set         shares that have a line
--   asking:<key>        set         tickets in line with an idempotency key
--   kept_for            string      the ticket that keeps what comes free
--   void:<ticket>       string      abandoned; its process may ask until then
--   forgotten           list        leases that were dropped since the last reap
--   board               hash        kind and name -> a notice of a master, see board.py
--
-- All names begin with KEYS[1], a hash tag. Times are microseconds; they fit into a double, but not into Lua's own way of
-- writing one, so they are handed to Redis as numbers and never joined into text.

local GRACE, SILENCE = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local REMEMBERED = 1000
local WEEK_S = 7 * 24 * 3600

local function name(...)
  return KEYS[1] .. ':' .. table.concat({ ... }, ':')
end

local function each_word(text)
  local words = {}
  for word in string.gmatch(text, '%S+') do
    words[#words + 1] = word
  end
  return words
end
