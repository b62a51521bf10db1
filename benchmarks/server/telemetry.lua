-- A device's telemetry over HTTP: each of wrk's connections posts to a device of its own.
local tokens = {}
for line in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = line end
local next_token = 0

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"temp":21.5}'

function request()
    next_token = next_token % #tokens + 1
    return wrk.format(nil, "/api/v1/" .. tokens[next_token] .. "/telemetry")
end

function response(status) if status ~= 200 then wrk.thread:stop() end end
