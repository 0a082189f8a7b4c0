-- post.lua - what wrk sends: the event that BENCH_EVENT names, as JSON; after
-- the run a line for the bench: requests, microseconds, errors
local f = assert(io.open(os.getenv("BENCH_EVENT"), "rb"))
wrk.method = "POST"
wrk.body = f:read("*a")
wrk.headers["Content-Type"] = "application/json"
f:close()

function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		"bench %d %d %d %d\n", summary.requests, summary.duration,
		e.connect + e.read + e.write + e.timeout, e.status))
end
