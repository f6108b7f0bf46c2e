-- Forward authentication for HAProxy: asks wavegate about the request at hand.
-- A 2xx answer lets it pass and copies the identity headers; any other answer
-- goes to the client as it is; no answer is a 503. See haproxy.cfg.

local url = os.getenv("WAVEGATE_FORWARD") or "http://127.0.0.1:10101/_auth/forward"

-- What wavegate needs of the client's own headers: the credential, and what
-- tells a browser's navigation and a WebSocket handshake from other requests.
local ask = {
  "authorization", "x-api-key", "cookie", "accept", "origin", "user-agent",
  "sec-fetch-mode", "x-requested-with", "traceparent", "upgrade", "sec-websocket-key", "sec-websocket-version",
}

-- What the app is told.
local copy = {
  "wave-subject-id", "wave-username", "wave-email", "wave-groups", "wave-scopes",
  "wave-auth-method", "wave-key-id", "wave-oauth-client-id", "wave-session-id",
  "wave-client-id", "wave-assertion",
  "remote-user", "remote-name", "remote-email", "remote-groups",
}

-- What belongs to one connection, or to a body that HAProxy frames itself.
local hop = {
  ["connection"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true,
  ["content-length"] = true, ["upgrade"] = true, ["trailer"] = true,
}

-- values turns HAProxy's table, which counts from 0, into a Lua list.
local function values(headers, name)
  local list, i = {}, 0
  while headers[name] and headers[name][i] do
    list[#list + 1] = headers[name][i]
    i = i + 1
  end
  return list
end

core.register_action("wavegate", { "http-req" }, function(txn)
  local from = txn.http:req_get_headers()
  local headers = {
    ["x-forwarded-method"] = { txn.sf:method() },
    ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
    ["x-forwarded-host"] = values(from, "host"),
    ["x-forwarded-uri"] = { txn.sf:pathq() },
    ["x-forwarded-for"] = { txn.sf:src() },
  }
  for _, name in ipairs(ask) do
    local list = values(from, name)
    if #list > 0 then
      headers[name] = list
    end
  end

  local answer = core.httpclient():get({ url = url, headers = headers, timeout = 10000 })
  if answer and answer.status and answer.status >= 200 and answer.status < 300 then
    for _, name in ipairs(copy) do
      local list = values(answer.headers, name)
      if #list > 0 then
        txn.http:req_set_header(name, list[1])
      end
    end
    return
  end

  local reply = txn:reply()
  if not answer or not answer.status or answer.status < 200 then
    reply:set_status(503)
    txn:done(reply)
  end
  reply:set_status(answer.status)
  for name in pairs(answer.headers) do
    if not hop[name] then
      for _, value in ipairs(values(answer.headers, name)) do
        reply:add_header(name, value)
      end
    end
  end
  if txn.sf:method() ~= "HEAD" then
    reply:set_body(answer.body or "")
  end
  txn:done(reply)
end)
