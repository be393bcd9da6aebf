-- Compare and commit: apply what a transaction wrote, if nothing that it relied on has changed since.
--
-- KEYS  every key that is compared or written, KEYS[1] is `history`; those of `tails` stand last
-- ARGV  writer, token   whose commit this is, and which: asked again after a lost answer, it is done once
--       last            the token of its commit before, or nothing: a store without it has lost history
--       branch, commit  the last that this process knows of; a store behind it has lost history
--       wall            now in milliseconds
--       run, calls      the server's run that this process talks to; `1` for what a roll call commits, which is all that
--                       can be committed while one is open
--       checks          how many, then for each: key (counts in KEYS), command, number of arguments, arguments, number of
--                       values expected, and these: `+value`, or `-` for absent. Instead of 0 values one whole number is
--                       expected, instead of -1 a string
--       writes          how many, then for each: key, command, number of arguments, arguments
--       books           how many, then for each contract: its facts, its counters, the sets of contracts that wait, are
--                       active, paused, completed (all as keys), number of changes, and these: counter, difference
--       tails           how many, then what is added to the end of each one's string
--
-- Answers {"done", commit, branch, fork}; {"changed"} when something relied on is not true any more; {"behind"} when the
-- store has lost history; {"gone"} when there is no store; {"calling"} when there is a roll call, or has to be. The work is what the transaction touched, whatever the backlog.

local at = 8
local function number()
  at = at + 1
  return tonumber(ARGV[at])
end
local function text()
  at = at + 1
  return ARGV[at]
end
-- Where the next so many arguments are.
local function take(count)
  local first = at + 1
  at = at + count
  return first, at
end

local call = redis.call
local WAITING, ACTIVE, PAUSED, COMPLETED = '2', '3', '4', '5'

local history = call('HMGET', KEYS[1], 'branch', 'commits', 'fork', ARGV[1], 'run', 'calling')
if not history[1] then return {'gone'} end
local commits = tonumber(history[2])
if history[4] == ARGV[2] then return {'done', commits, history[1], tonumber(history[3])} end
if ARGV[8] ~= '1' then
  if history[5] ~= ARGV[7] or history[6] then return {'calling'} end
  if ARGV[3] ~= '' and history[4] ~= ARGV[3] then return {'behind'} end
  if history[1] == ARGV[4] and commits < tonumber(ARGV[5]) then return {'behind'} end
end

for _ = 1, number() do
  local key, command = KEYS[number()], text()
  local found = call(command, key, unpack(ARGV, take(number())))
  local expected = number()
  if expected == 0 then
    if found ~= number() then return {'changed'} end
  elseif expected < 0 then
    if found ~= text() then return {'changed'} end
  else
    local first = take(expected)
    for i = 1, expected do
      local value = found[i]
      if (value and '+' .. value or '-') ~= ARGV[first + i - 1] then return {'changed'} end
    end
  end
end

for _ = 1, number() do
  local key, command = KEYS[number()], text()
  call(command, key, unpack(ARGV, take(number())))
end

for _ = 1, number() do
  local facts, counters = KEYS[number()], KEYS[number()]
  local sets = {[WAITING] = KEYS[number()], [ACTIVE] = KEYS[number()], [PAUSED] = KEYS[number()], [COMPLETED] = KEYS[number()]}
  local state, sealed, causes, id, deleting = unpack(call('HMGET', facts, 'state', 'sealed', 'causes', 'id', 'deleting'))
  for _ = 1, number() do
    call('HINCRBY', counters, text(), number())
  end
  if deleting ~= '1' and state then
    local open = 0
    for _, count in ipairs(call('HMGET', counters, 'waiting', 'active', 'delayed', 'unknown')) do
      open = open + (tonumber(count) or 0)
    end
    local target
    if open == 0 and sealed == '1' and (state == WAITING or state == ACTIVE or state == PAUSED) then
      target = COMPLETED
      call('HSET', facts, 'causes', '[]', 'finished_at', ARGV[6])
    elseif open > 0 and state == COMPLETED then
      target = causes == '[]' and ACTIVE or PAUSED
      call('HDEL', facts, 'finished_at')
    end
    if target then
      call('HSET', facts, 'state', target)
      call('ZREM', sets[state], id)
      call('ZADD', sets[target], 0, id)
    end
  end
end
local tails = number()
for i = 1, tails do
  call('APPEND', KEYS[#KEYS - tails + i], ARGV[at + i])
end

call('HSET', KEYS[1], ARGV[1], ARGV[2])
history = call('HMGET', KEYS[1], 'branch', 'fork')
return {'done', call('HINCRBY', KEYS[1], 'commits', 1), history[1], tonumber(history[2])}
