-- ARGV 3: ids. The ticket leaves the line, with what it was given and has not claimed.

local ids = each_word(ARGV[3])
changed = leave(ids[1]) or changed
changed = take_back(ids) or changed
if changed then
  match()
end
