-- Registers identifiers that are new: PUT /api/v1/identifiers/{prefix}/SN-{number}.
-- Arguments after "--": prefix, first number, bearer token, file with the body.

require "report"

local head, body, number

function init(args)
  local prefix, token = args[1], args[3]
  number = tonumber(args[2])
  local file = assert(io.open(args[4], "rb"))
  body = file:read("*a")
  file:close()
  head = "PUT /api/v1/identifiers/" .. prefix .. "/SN-%08d HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    .. "Authorization: Bearer " .. token .. "\r\nContent-Type: application/json\r\n"
    .. "Content-Length: " .. #body .. "\r\n\r\n"
end

function request()
  number = number + 1
  return string.format(head, number) .. body
end
