-- Asks for registered identifiers: GET /api/handles/{prefix}/SN-{number}.
-- Arguments after "--": choice, prefix, first number, how many, seed.
--   uniform   each as likely as any other
--   zipf      the r-th most wanted is wanted 1/r^0.99 times as often as the first
--   sequence  one after the other, each once, from the first on
-- All is drawn and all requests are made in init: in the run, a request is two look-ups in tables.

require "report"

local DRAWS = 2 ^ 20
local SKEW = 0.99
local SCATTER = 15485863 -- a prime: spreads the ranks of zipf over the numbers

local requests, draws, at

local function zipf_draws(count)
  local sums, total = {}, 0
  for rank = 1, count do
    total = total + 1 / rank ^ SKEW
    sums[rank] = total
  end
  local drawn = {}
  for i = 1, DRAWS do
    local wanted, low, high = math.random() * total, 1, count
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < wanted then low = middle + 1 else high = middle end
    end
    drawn[i] = low * SCATTER % count + 1
  end
  return drawn
end

local function uniform_draws(count)
  local drawn = {}
  for i = 1, DRAWS do drawn[i] = math.random(count) end
  return drawn
end

local function in_sequence(count)
  local drawn = {}
  for i = 1, count do drawn[i] = i end
  return drawn
end

function init(args)
  local choice, prefix = args[1], args[2]
  local first, count, seed = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  math.randomseed(seed)
  requests = {}
  for i = 1, count do
    requests[i] = string.format(
      "GET /api/handles/%s/SN-%08d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", prefix, first + i - 1)
  end
  local choices = { uniform = uniform_draws, zipf = zipf_draws, sequence = in_sequence }
  draws = choices[choice](count)
  at = 0
end

function request()
  at = at % #draws + 1
  return requests[draws[at]]
end
