package manage

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wavegate/server/fault"
)

// used answers calls about usage: 12 requests in this minute, 2 of them refused, of
// the keys, routes and apps that there are.
func used(c Call) any {
	row := map[string]any{
		"requests": 6, "refused": 1, "refusals": map[string]int{"key_expired": 1}, "errors": 0, "bytes_in": 10, "bytes_out": 2000,
		"latency_ms": map[string]any{"p50": 1, "buckets": []int{6, 0, 0}},
	}
	rows := []map[string]any{}
	for _, n := range []string{"1", "2"} {
		one := map[string]any{}
		maps.Copy(one, row)
		for dim := range strings.SplitSeq(c.Query.Get("by"), ",") {
			switch dim {
			case "time":
				one["time"] = time.Now().UTC().Truncate(time.Minute)
			case "route":
				one[dim] = "/route" + n
			case "client":
				one[dim] = ""
			default:
				one[dim] = dim + "_" + n
			}
		}
		rows = append(rows, one)
	}
	return map[string]any{"latency_bounds_ms": []float64{1, 10}, "rows": rows, "more": false}
}

func usageAPI() map[string]any {
	return map[string]any{
		"GET " + usageCall:        used,
		"GET " + keysCall:         `{"api_keys": [{"id": "key_1", "name": "nightly import", "prefix": "wave_live_1", "status": "active"}, {"id": "key_9", "name": "old", "status": "revoked"}]}`,
		"GET /v1/auth/clients":    `{"clients": [{"client_id": "client_1", "name": "Starplot"}], "next_cursor": "x"}`,
		"GET /v1/auth/attention":  `{"items": [{"kind": "key_expiring", "severity": "serious", "id": "key_1", "name": "nightly import", "until": "2026-12-01T00:00:00Z", "message": "The key ends soon."}], "more": false}`,
		"GET /v1/auth/system":     `{"parts": [{"name": "store", "status": "ok", "message": "fine"}, {"name": "webhooks", "status": "warning", "message": "Some wait."}, {"name": "headers", "status": "off", "message": "No file."}]}`,
		"GET /v1/auth/lockouts":   `{"lockouts": [{"id": "l_1"}]}`,
		"GET /v1/auth/keys/key_1": `{"api_key": {"id": "key_1", "name": "nightly import", "status": "active"}}`,
	}
}

// asked are the queries of the calls about usage.
func (d *testDesk) asked() []url.Values {
	var list []url.Values
	for _, target := range d.made(http.MethodGet) {
		if path, query, _ := strings.Cut(target, "?"); path == usageCall {
			q, err := url.ParseQuery(query)
			if err != nil {
				d.t.Fatal(err)
			}
			list = append(list, q)
		}
	}
	return list
}

func TestUsageShowsChartsTablesAndFilters(t *testing.T) {
	d := newDesk(t, usageAPI())
	d.get("usage?range=1h").want(200,
		`<div id="live" data-live>`, "Refused <strong>2</strong>", "Key expired <strong>2</strong>", `id="latency-title"`,
		`<a href="/gate/_portal/usage?key=key_1&amp;range=1h"><bdi>nightly import</bdi></a>`, "/route2", "50 %",
		`href="/gate/v1/auth/usage?by=time&amp;format=csv&amp;from=`, `<option value="key_2">key_2</option>`,
		"/gate/v1/auth/usage?by=time&amp;from=", `aria-current="true">1 hour</a>`,
	).without("By owner", "By app")
	for _, q := range d.asked() {
		if q.Get("span") != "minute" || q.Has("all") || q.Has("owner") {
			t.Errorf("asked for %v", q)
		}
	}
}

func TestUsageAsksForWhatTheAddressSays(t *testing.T) {
	for _, tt := range []struct{ query, span, from string }{
		{"", "hour", "-23h"},
		{"range=nonsense", "hour", "-23h"},
		{"range=7d", "hour", "-162h"},
		{"range=30d", "day", "-696h"},
		{"range=2y", "day", "-17448h"},
	} {
		d := newDesk(t, usageAPI()).admin()
		d.get("usage?all=true&key=key_1&owner=sub%3Aa&"+tt.query).want(200, `<option value="key_1" selected>nightly import</option>`, `href="/gate/_portal/usage?all=true`)
		q := d.asked()[0]
		for name, want := range map[string]string{"span": tt.span, "key": "key_1", "owner": "sub:a", "all": "true", "by": "time"} {
			if got := q.Get(name); got != want {
				t.Errorf("%q: %s is %q, want %q", tt.query, name, got, want)
			}
		}
		from, err := time.Parse(time.RFC3339, q.Get("from"))
		back, _ := time.ParseDuration(tt.from)
		if late := from.Sub(time.Now().Add(back)); err != nil || late > 0 || late < -31*24*time.Hour {
			t.Errorf("%q: from %s", tt.query, q.Get("from"))
		}
	}
}

func TestUsageWithoutRequestsTeaches(t *testing.T) {
	api := usageAPI()
	api["GET "+usageCall] = `{"latency_bounds_ms": [1], "rows": [], "more": false}`
	newDesk(t, api).get("usage").want(200, "No requests in the last 24 hours", `href="/gate/_portal/keys/new"`, "2 years").without("<figure")
	newDesk(t, api).admin().get("usage?all=true").want(200, "All usage", "Choose a longer range").without("New key")
	newDesk(t, api).get("usage?key=key_2").want(200, `<option value="key_2" selected>key_2</option>`, "Show everything", "No requests in the last 24 hours.")
}

// Where there are more keys than can be drawn, there are their totals.
func TestUsageOfTooManyHasNoSparks(t *testing.T) {
	api := usageAPI()
	api["GET "+usageCall] = func(c Call) any {
		answer := used(c).(map[string]any)
		answer["more"] = strings.Contains(c.Query.Get("by"), ",")
		return answer
	}
	d := newDesk(t, api)
	d.get("usage").want(200, "nightly import", "50 %").without(`<th scope="col">Over time`)
	d.get("keys").want(200, "nightly import", `<span class="spark none">`)
}

func TestUsageIsRefusedToWhoMayNotSeeIt(t *testing.T) {
	api := usageAPI()
	api["GET "+usageCall] = fault.New(http.StatusForbidden, "insufficient_role", "You lack usage:read.")
	d := newDesk(t, api)
	d.get("usage").want(403, "You lack usage:read.")
	d.get("keys").want(200, "nightly import")
	d.get("keys/key_1").want(200, "You have no permission to see usage")
	d.get("").want(200, "Newest keys", "Keys that work").without("<figure", "Requests in 24 hours")
}

func TestKeysShowTheirUsage(t *testing.T) {
	d := newDesk(t, usageAPI())
	d.get("keys/key_1").want(200, "Refused <strong>2</strong>", "key=key_1")
	d.get("keys").want(200, `aria-label="6 requests"`)
	d.admin().get("keys/key_1").want(200)
	if q := d.asked(); q[len(q)-1].Get("all") != "true" || q[len(q)-1].Get("key") != "key_1" || q[0].Has("all") {
		t.Errorf("asked for %v", q)
	}
}

func TestOverviewShowsOnesOwn(t *testing.T) {
	newDesk(t, usageAPI()).get("").want(200,
		`<li class="serious">`, `<a href="/gate/_portal/keys/key_1"><bdi>nightly import</bdi></a>`, "The key ends soon.",
		"Keys that work", ">1</a>", ">1&#43;</a>", ">12</a>", "17 %", "Your requests, last 24 hours", "Newest keys", `aria-label="6 requests"`,
	).without("This server", "Make a key")
}

func TestOverviewOfAdministratorsHasTheServer(t *testing.T) {
	d := newDesk(t, usageAPI()).admin()
	d.get("").want(200, "This server", "Some wait.", "Everybody’s requests", "Locked out").without("fine", "No file.")
	delete(d.api.answers, "GET /v1/auth/system")
	d.get("").want(404)
}

func TestOverviewTeachesTheFirstSteps(t *testing.T) {
	api := usageAPI()
	api["GET "+usageCall] = `{"latency_bounds_ms": [1], "rows": [], "more": false}`
	api["GET "+keysCall] = `{"api_keys": []}`
	d := newDesk(t, api)
	d.get("").want(200, "Make a key", `href="/gate/_portal/keys/new"`, "curl &#39;https://gate.example.com/&#39; -H", "Watch it here").without("<figure", "Nothing needs")
	d.api.answers["GET "+keysCall] = `{"api_keys": [{"id": "key_1", "name": "first", "status": "active"}]}`
	d.get("").want(200, `<li class="done">`, "first", "Watch it here")
	d.api.answers["GET "+keysCall] = `{"api_keys": [{"id": "key_1", "name": "first", "status": "active", "last_used_at": "2026-01-01T00:00:00Z"}]}`
	d.get("").want(200, "No requests in the last 24 hours.", "Newest keys").without("Watch it here")
	d.api.answers["GET /v1/auth/status"] = map[string]any{"caller": map[string]any{"permissions": []string{}}}
	for _, path := range []string{"keys", "clients", "usage", "attention"} {
		d.api.answers["GET /v1/auth/"+path] = fault.New(http.StatusForbidden, "insufficient_role", "No.")
	}
	d.get("").want(200, "Overview").without("Make a key", "<figure", "Nothing needs", "Keys that work", "Apps<")
}

// An answer of the API that is no JSON is nobody's fault but the server's.
func TestUsageThatCannotBeReadIsAnError(t *testing.T) {
	api := usageAPI()
	api["GET "+usageCall] = json.RawMessage(`"text"`)
	newDesk(t, api).get("usage").want(500)
}
