-- wrk -s batch.lua URL -- KEY ROWS: POST batches of hired employees, no id twice.
-- Departments 1 to 12 and jobs 1 to 183 must be there.

local threads = 0

function setup(thread)
    thread:set("first", threads * 1000000000)
    threads = threads + 1
end

function init(arguments)
    rows = tonumber(arguments[2])
    id = first
    headers = { ["content-type"] = "application/json", ["x-api-key"] = arguments[1] }
    -- All but the id repeats after a thousand rows, and is written once.
    rest = {}
    for i = 1, 1000 do
        rest[i] = string.format(
            ',"name":"Given%d Family%d","datetime":"2021-%02d-%02dT%02d:%02d:%02dZ",'
                .. '"department_id":%d,"job_id":%d}',
            i * 7 % 991, i * 13 % 997, i % 12 + 1, i % 28 + 1, i % 24, i % 60, i * 7 % 60,
            i % 12 + 1, i % 183 + 1)
    end
    parts = {}
end

function request()
    for i = 1, rows do
        id = id + 1
        parts[3 * i - 2] = i == 1 and '[{"id":' or ',{"id":'
        parts[3 * i - 1] = id
        parts[3 * i] = rest[id % 1000 + 1]
    end
    return wrk.format("POST", nil, headers, table.concat(parts, "", 1, 3 * rows) .. "]")
end

-- One line: requests, microseconds, p50 and p99 in milliseconds, answers that were not 2xx or lost.
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %.2f %.2f %d\n", summary.requests, summary.duration,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
