"""What Redis runs for `budget`: each script is one step for all processes. Instants are epoch microseconds."""

from typing import Final

_CLOCK: Final = """
local function clock()
  local time = redis.call('time')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
"""

# Keys: log, rest, limits. Arguments: group, count, reserved, window, urgent, trial, instant or nothing.
# Answers: whether it may leave, when to ask again, now, whether it is the trial after a rest.
TAKE: Final = (
    _CLOCK
    + """
local now = tonumber(ARGV[7]) or clock()
local window, trial = tonumber(ARGV[4]), 0
local count = tonumber(redis.call('hget', KEYS[3], ARGV[1]) or ARGV[2])
-- What the venue takes less than we thought, it takes from the reserve in proportion.
local reserved = math.floor(tonumber(ARGV[3]) * count / tonumber(ARGV[2]))
local resting = redis.call('hget', KEYS[2], 'until')
if resting then
  if now < tonumber(resting) then return {0, tonumber(resting), now, 0} end
  trial = 1
end
-- A clock that was set back must not let a window begin anew.
local last = tonumber(redis.call('lindex', KEYS[1], -1) or 0)
local at = math.max(now, last)
while true do
  local oldest = redis.call('lindex', KEYS[1], 0)
  if not oldest or tonumber(oldest) > at - window then break end
  redis.call('lpop', KEYS[1])
end
if ARGV[5] == '0' then count = count - reserved end
local used = redis.call('llen', KEYS[1])
if used >= count then
  return {0, tonumber(redis.call('lindex', KEYS[1], used - count)) + window, at, 0}
end
redis.call('rpush', KEYS[1], string.format('%.0f', at))
redis.call('pexpire', KEYS[1], math.ceil(window / 1000) + 1000)
if trial == 1 then redis.call('hset', KEYS[2], 'until', string.format('%.0f', at + tonumber(ARGV[6])), 'trial', 1) end
return {1, at, at, trial}
"""
)

# Key: rest. Arguments: the first rest, the longest. Answers how long it is. While it rests, a refusal is an old one.
BLOCK: Final = (
    _CLOCK
    + """
local now = clock()
local known = redis.call('hmget', KEYS[1], 'rest', 'until', 'trial')
local rest = tonumber(known[1] or 0)
if known[2] and now < tonumber(known[2]) and not known[3] then return rest end
rest = math.min(math.max(rest * 2, tonumber(ARGV[1])), tonumber(ARGV[2]))
redis.call('hset', KEYS[1], 'rest', rest, 'until', string.format('%.0f', now + rest))
redis.call('hdel', KEYS[1], 'trial')
redis.call('pexpire', KEYS[1], math.ceil(rest / 1000) + 600000)
return rest
"""
)

UNBLOCK: Final = "return redis.call('del', KEYS[1])"

# Key: limits. Arguments: group and count in turn.
LEARN: Final = "return redis.call('hset', KEYS[1], unpack(ARGV))"

# Keys: limits of each kind of group, then log and rest of each account and kind. Arguments: how many kinds, then group,
# count and window of each. Answers used, limit and rest of each account and kind.
STANDING: Final = (
    _CLOCK
    + """
local now, kinds, answer = clock(), tonumber(ARGV[1]), {}
local place = kinds
while place < #KEYS do
  for kind = 1, kinds do
    local count = tonumber(redis.call('hget', KEYS[kind], ARGV[3 * kind - 1]) or ARGV[3 * kind])
    local since, used = now - tonumber(ARGV[3 * kind + 1]), 0
    for _, at in ipairs(redis.call('lrange', KEYS[place + 1], 0, -1)) do
      if tonumber(at) > since then used = used + 1 end
    end
    local rest = redis.call('hmget', KEYS[place + 2], 'until', 'trial')
    local left = 0
    if rest[1] and not rest[2] then left = math.max(tonumber(rest[1]) - now, 0) end
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = used, count, left
    place = place + 2
  end
end
return answer
"""
)
