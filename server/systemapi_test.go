package server

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/store"
	"wavegate/server/store/storetest"
	"wavegate/server/webhook"
	"wavegate/tlsconf"
)

const systemPath = "/v1/auth/system"

func (m *managed) system() (v systemView) {
	m.t.Helper()
	a := m.as("root", "GET", systemPath, "").want(m.t, 200, "")
	must(m.t, json.Unmarshal([]byte(a.body), &v))
	return v
}

// part returns a part of the server as the API shows it.
func (m *managed) part(name string) part {
	m.t.Helper()
	parts := m.system().Parts
	i := slices.IndexFunc(parts, func(p part) bool { return p.Name == name })
	if i < 0 {
		m.t.Fatalf("no part %q in %+v", name, parts)
	}
	return parts[i]
}

func (m *managed) wantPart(name string, status partStatus, says string) part {
	m.t.Helper()
	p := m.part(name)
	if p.Status != status || !strings.Contains(p.Message, says) {
		m.t.Errorf("%s: got %s, %q, want %s, %q", name, p.Status, p.Message, status, says)
	}
	return p
}

func TestSystemNamesEveryPart(t *testing.T) {
	t.Parallel()
	for kind, url := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := issue(t, func(c *Config) { c.Store, c.Version = url(t), "1.2.3" })
			m.do("GET", "/v1/streams", "", by(m.makeKey("all", `{"name":"k","scopes":["streams:read"]}`).Key)...).want(t, 200, "")
			newBrowser(t, m.URL).signInLocal("ann")
			v := m.system()
			started, err := time.Parse(time.RFC3339, v.StartedAt)
			if must(t, err); time.Since(started) > time.Minute || v.Version != "1.2.3" || v.Go != runtime.Version() || *v.Address != "http://gate.test" || v.Store != strings.ToLower(kind) {
				t.Errorf("got %+v", v)
			}
			var names []string
			for _, p := range v.Parts {
				names = append(names, p.Name+" "+string(p.Status))
				if !strings.HasSuffix(p.Message, ".") || strings.Contains(p.Message, "password=") {
					t.Errorf("%s: %q is no sentence", p.Name, p.Message)
				}
			}
			want := []string{
				"store ok", "keychain ok", "policy ok", "certificate off", "headers off", "api keys ok", "sessions ok", "users ok", "webhooks ok", "audit ok", "oauth ok",
			}
			if !slices.Equal(names, want) {
				t.Errorf("got %q, want %q", names, want)
			}
			for name, facts := range map[string]map[string]float64{
				"keychain": {"access_keys": 4}, "api keys": {"remembered": 1}, "sessions": {"remembered": 1}, "users": {"users": 2}, "webhooks": {"waiting": 0, "dead": 0},
			} {
				for fact, n := range facts {
					if got := m.part(name).Details[fact]; got != n {
						t.Errorf("%s: %s is %v, want %v", name, fact, got, n)
					}
				}
			}
			m.published() // there are keys from now on
			next, err := time.Parse(time.RFC3339, m.part("oauth").Details["next_rotation_at"].(string))
			if must(t, err); next.Before(time.Now().AddDate(0, 0, 29)) || next.After(time.Now().AddDate(0, 0, 31)) {
				t.Errorf("the next rotation is at %s", next)
			}
		})
	}
}

func TestPartsWhoseNewSettingsAreBadSaySo(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	m.wantPart("policy", partOK, "in force")
	loaded := m.part("policy").Details["loaded_at"]
	writeFile(t, m.cfg.PolicyFile, "scopes: 7")
	if m.Reload() == nil {
		t.Fatal("the bad policy was taken")
	}
	p := m.wantPart("policy", partWarning, "the old one stays")
	if why, _ := p.Details["reload_error"].(string); !strings.Contains(why, ":1") || p.Details["reload_failed_at"] == nil || p.Details["loaded_at"] != loaded {
		t.Errorf("details %v", p.Details)
	}
	m.wantPart("keychain", partOK, "access keys open")
	writeFile(t, m.cfg.PolicyFile, catalogPolicy)
	must(t, m.Reload())
	if p := m.wantPart("policy", partOK, "in force"); p.Details["reload_error"] != nil {
		t.Errorf("details %v", p.Details)
	}
	writeFile(t, m.cfg.Keychain.Path, "broken")
	if m.Reload() == nil {
		t.Fatal("the bad keychain was taken")
	}
	m.wantPart("keychain", partWarning, "the old one stays")
	if a := m.do("GET", "/_health/ready", "").want(t, 200, ""); !strings.Contains(a.body, `"keychain":"ok"`) {
		t.Errorf("readiness: %s", a.body)
	}
}

func TestProvidersThatAreDownAreNamed(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	m := manage(t, withKeys(t, "root:secret"), withUsers(t), withProvider(t, idp), func(c *Config) { c.Admins = []string{"root"} })
	m.wantPart("provider main", partOK, "sign in at")
	idp.Break("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	m.do("GET", "/_auth/init?provider=main", "")
	eventually(t, "the provider is missed", func() bool { return m.part("provider main").Status == partWarning })
	if a := m.do("GET", "/_health/ready", "").want(t, 200, ""); !strings.Contains(a.body, `"provider main":"not reachable: `) {
		t.Errorf("readiness: %s", a.body)
	}
}

func TestDeliveriesThatWaitAndThoseThatAreDeadAreCounted(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	hook := webhook.Endpoint{ID: webhook.NewEndpointID(), Owner: "key:root", URL: "http://127.0.0.1:1/", Version: 1, CreatedAt: time.Now()}
	must(t, m.store.AddEndpoint(t.Context(), hook, 10, store.Journal{}))
	for i := range 3 {
		ping := webhook.NewEvent(webhook.Ping, hook.Owner, time.Now(), nil)
		d, err := webhook.NewDelivery(hook.ID, &ping, time.Now().Add(time.Hour))
		must(t, err)
		d.NextAt = time.Now().Add(time.Hour)
		must(t, m.store.AddDelivery(t.Context(), d, store.Journal{}))
		if i == 0 {
			must(t, m.store.FinishDelivery(t.Context(), webhook.Result{ID: d.ID, At: time.Now(), State: webhook.Dead}))
		}
	}
	p := m.wantPart("webhooks", partWarning, "given up")
	if p.Details["waiting"] != 2.0 || p.Details["dead"] != 1.0 {
		t.Errorf("got %v", p.Details)
	}
}

func TestCertificateIsWarnedOfBeforeItEnds(t *testing.T) {
	t.Parallel()
	m := manage(t, withKeys(t, "root:secret"), func(c *Config) { c.TLS = tlsconf.Config{SelfSigned: true} })
	end := m.certificateEnd()
	for _, tt := range []struct {
		now    time.Time
		status partStatus
		says   string
	}{
		{time.Now(), partOK, "valid"},
		{end.Add(-certificateWarning), partOK, "valid"},
		{end.Add(time.Second - certificateWarning), partWarning, "less than 14 days"},
		{end, partFailed, "expired"},
	} {
		p := m.certificatePart(tt.now)
		if at, _ := p.Details["ends_at"].(*string); p.Status != tt.status || !strings.Contains(p.Message, tt.says) || *at != rfc3339(end) {
			t.Errorf("at %s: got %s, %q, %v", tt.now, p.Status, p.Message, p.Details)
		}
	}
}

func TestSystemAnswersWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	cable, database := newCable(t, storetest.Postgres(t))
	m := manage(t, withKeys(t, "root:secret"), func(c *Config) { c.Store, c.Admins = database, []string{"root"} })
	cable.pull()
	eventually(t, "the store is missed", func() bool { return m.part("store").Status == partFailed })
	m.wantPart("store", partFailed, "See the log")
	m.wantPart("webhooks", partWarning, "cannot be read")
	m.wantPart("audit", partWarning, "cannot be read")
	m.do("GET", "/_health/ready", "").want(t, 503, "")
}

func TestAuditLogThatWasChangedIsNamed(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	m.makeKey("root", `{"name":"k","scopes":["streams:read"]}`)
	if last, _ := m.wantPart("audit", partOK, "are written").Details["last"].(float64); last < 1 {
		t.Errorf("the last entry is %v", last)
	}
	forge(t, "file:"+filepath.Join(m.cfg.DataDir, "wavegate.db")+"?_pragma=busy_timeout(10000)", "UPDATE audit_state SET last_seq = last_seq + 1")
	m.wantPart("audit", partFailed, "not what was written")
}

func TestNextRotationIsThatOfTheFirstKeyToGo(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2030, 1, n, 0, 0, 0, 0, time.UTC) }
	const lifetime = 10 * 24 * time.Hour
	current := func(alg string, n int) authz.KeyInfo {
		return authz.KeyInfo{Algorithm: alg, State: "current", UseAt: day(n)}
	}
	next := func(alg string, n int) authz.KeyInfo {
		return authz.KeyInfo{Algorithm: alg, State: "next", UseAt: day(n)}
	}
	for want, keys := range map[int][]authz.KeyInfo{
		11: {current("a", 1), current("b", 3)},
		8:  {next("a", 8), current("a", 1), current("b", 3)},
		12: {current("a", 1), next("a", 12), {Algorithm: "a", State: "retired", UseAt: day(1)}},
	} {
		if got := nextRotation(keys, lifetime); !got.Equal(day(want)) {
			t.Errorf("got %s, want %s", got, day(want))
		}
	}
	if !nextRotation(nil, lifetime).IsZero() {
		t.Error("without keys there is a rotation")
	}
}
