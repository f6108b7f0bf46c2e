package portaltest

import (
	"maps"
	"net/http"
	"testing"
	"time"
)

// A world is what fill made.
type world struct {
	keys     map[string]newKey // by name; of a rotated key, the new one is NAME (new)
	apps     map[string]string // client IDs by name
	webhooks map[string]string // IDs by the path of the receiver: /alerts takes them, /archive fails
}

// fill makes a small world as a team would have after some time: 12 keys in every
// state, 3 apps, 2 webhooks with deliveries, and usage of more than a year, with
// refusals, errors and latencies, up to now. Most of it is ada's.
func (g *gate) fill(t *testing.T) world {
	t.Helper()
	ada, bob, grace := g.as(t, "ada"), g.as(t, "bob"), g.as(t, "grace")
	w := world{keys: map[string]newKey{}, apps: map[string]string{}, webhooks: map[string]string{}}
	g.answer("/archive", http.StatusServiceUnavailable)
	w.webhooks["/alerts"] = ada.newWebhook(t, "/alerts", fields{"description": "Team chat", "events": []string{"key_created", "key_revoked", "key_rotated"}})
	w.webhooks["/archive"] = ada.newWebhook(t, "/archive", fields{"description": "Archive of everything that happens"})
	w.addKeys(t, ada, adasKeys())
	w.addKeys(t, bob, []fields{{"name": "Dashboard", "role": "viewer", "description": "Numbers on the wall of the office"}})
	w.addKeys(t, grace, []fields{{"name": "Monitoring", "scopes": []string{"analytics:read"}, "expires_in_days": 365}})
	w.change(t, ada)
	w.addApps(t, ada)
	g.writeHistory(t, w)
	g.fillWithTraffic(t, w)
	w.settle(t, ada)
	return w
}

// adasKeys are those of a developer with several things to look after.
func adasKeys() []fields {
	soon := time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano)
	return []fields{
		{"name": "Hackathon", "environment": "dev", "scopes": []string{"streams:read"}, "expires_at": soon},
		{"name": "Video encoder", "scopes": []string{"streams:read", "streams:write"}, "description": "Puts the cameras of the harbour on air", "metadata": fields{"host": "encoder-1"}},
		{"name": "Nightly export", "scopes": []string{"recordings:read", "analytics:read"}, "expires_in_days": 3},
		{"name": "Billing sync", "scopes": []string{"billing:read"}, "allowed_ips": []string{"203.0.113.0/24", "2001:db8::/48"}},
		{"name": "Player", "environment": "test", "scopes": []string{"streams:read"}, "rate_limit_tier": "starter"},
		{"name": "CI pipeline", "environment": "test", "role": "operator", "budget": fields{"operations_per_day": 40, "operations_per_month": 1000}},
		{"name": "Laptop", "environment": "dev", "role": "viewer"},
		{"name": "Old encoder", "scopes": []string{"streams:read", "streams:write"}},
		{"name": "Contractor", "scopes": []string{"streams:read", "streams:delete"}, "description": "Until the end of the project"},
	}
}

func (w world) addKeys(t *testing.T, who caller, keys []fields) {
	t.Helper()
	for _, f := range keys {
		w.keys[f["name"].(string)] = who.newKey(t, f)
	}
}

// change rotates a key of ada's and revokes another.
func (w world) change(t *testing.T, ada caller) {
	t.Helper()
	var answer struct {
		New newKey `json:"new_key"`
	}
	ada.call(t, http.MethodPost, "/v1/auth/keys/"+w.keys["Old encoder"].ID+"/rotate", fields{"grace_period_hours": 24}, &answer)
	w.keys["Old encoder (new)"] = answer.New
	ada.call(t, http.MethodDelete, "/v1/auth/keys/"+w.keys["Contractor"].ID, nil, nil)
}

func (w world) addApps(t *testing.T, ada caller) {
	t.Helper()
	code := []string{"authorization_code", "refresh_token"}
	for _, f := range []fields{
		{
			"name": "Starplot", "type": "confidential", "client_uri": "https://plots.example.com", "scopes": []string{"streams:read", "analytics:read"},
			"redirect_uris": []string{"https://plots.example.com/callback"}, "grant_types": code,
		},
		{"name": "Living room TV", "type": "public", "scopes": []string{"streams:read"}, "grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}},
		{"name": "Importer of 2019", "type": "confidential", "scopes": []string{"recordings:read"}, "redirect_uris": []string{"https://import.example.com/done"}, "grant_types": code},
	} {
		w.apps[f["name"].(string)], _ = ada.newClient(t, f)
	}
	ada.call(t, http.MethodPatch, "/v1/auth/clients/"+w.apps["Importer of 2019"], fields{"disabled": true}, nil)
}

// fillWithTraffic sends requests that are allowed, refused for each of several
// reasons, slow, and answered with an error by the app.
func (g *gate) fillWithTraffic(t *testing.T, w world) {
	t.Helper()
	for _, s := range []struct {
		key, method, path string
		n                 int
		want              map[int]int // nil where the rate decides
	}{
		{"Video encoder", "GET", "/v1/streams", 60, map[int]int{200: 60}},
		{"Video encoder", "POST", "/v1/streams", 20, map[int]int{200: 20}},
		{"Video encoder", "DELETE", "/v1/streams/7", 6, map[int]int{403: 6}},
		{"Nightly export", "GET", "/v1/analytics/slow", 8, map[int]int{200: 8}},
		{"Nightly export", "GET", "/v1/analytics/broken", 3, map[int]int{500: 3}},
		{"Billing sync", "GET", "/v1/billing", 4, map[int]int{403: 4}},
		{"Player", "GET", "/v1/streams/7", 30, nil},
		{"CI pipeline", "GET", "/v1/recordings", 37, map[int]int{200: 37}},
		{"Old encoder", "GET", "/v1/streams", 5, map[int]int{200: 5}},
		{"Old encoder (new)", "GET", "/v1/streams", 12, map[int]int{200: 12}},
		{"Contractor", "GET", "/v1/streams", 2, map[int]int{401: 2}},
		{"Dashboard", "GET", "/v1/analytics/viewers", 25, map[int]int{200: 25}},
	} {
		got := g.send(t, w.keys[s.key].Key, s.method, s.path, s.n)
		if s.want != nil && !maps.Equal(got, s.want) {
			t.Errorf("%s: %s %s is answered %v, want %v", s.key, s.method, s.path, got, s.want)
		}
	}
}

// settle waits until everything that was begun can be seen.
func (w world) settle(t *testing.T, ada caller) {
	t.Helper()
	eventually(t, "a webhook was taken", func() bool { return len(ada.deliveries(t, w.webhooks["/alerts"])) > 0 })
	eventually(t, "another failed", func() bool {
		for _, d := range ada.deliveries(t, w.webhooks["/archive"]) {
			if d.Status == http.StatusServiceUnavailable {
				return true
			}
		}
		return false
	})
	ada.wantUsage(t, "key="+w.keys["Old encoder (new)"].ID, tally{Requests: 12})
	eventually(t, "a key has expired", func() bool { return ada.keyStatus(t, w.keys["Hackathon"].ID) == "expired" })
}
