package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
	"wavegate/server/limit"
)

// TestExamplesLoad loads every example that is a policy, and writes down what
// each decides for one telling request.
func TestExamplesLoad(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("got %d examples, %v; want at least 5", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(data), "\nupstreams:") {
				return // another program's configuration
			}
			p, err := Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Routes()) == 0 {
				t.Error("no routes")
			}
		})
	}
}

func TestTheSignInExampleSaysWhoMayDoWhat(t *testing.T) {
	p, err := Load("../../examples/sign-in.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := p.Providers(); len(names) != 2 || names[0].Name != "google" || names[1].Name != "keycloak" || p.Branding().Name != "Acme Gate" {
		t.Fatalf("got %v and %+v", names, p.Branding())
	}
	google, keycloak := p.Providers()[0], p.Providers()[1]
	if google.Admits("a@gmail.com", nil) || !google.Admits("a@example.com", nil) || keycloak.Admits("", nil) || !keycloak.Admits("", []string{"staff"}) {
		t.Error("the providers admit the wrong people")
	}
	if files := p.Files(); len(files) > 0 {
		t.Errorf("it needs the files %v", files)
	}
	for group, want := range map[string]bool{"staff": false, "editors": true, "ops": true} {
		who := &identity.Principal{Method: identity.MethodSession, Subject: "keycloak|1", Groups: []string{group}}
		p.Grant(who)
		ask := Ask{Route: p.Match("gate.example.com", "/api/reports/7"), Method: "PUT", Path: "/api/reports/7"}
		if got := p.Decide(who, ask).Allow; got != want {
			t.Errorf("%s may write: %v", group, got)
		}
	}
}

// TestTheTourSaysWhatKeysMayDo: what the tour says of tiers,
// defaults, trials, issuers, webhooks and retention is what the server reads.
func TestTheTourSaysWhatKeysMayDo(t *testing.T) {
	const file = "../../examples/policy.yaml"
	p, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	partner, _ := p.Tier("partner")
	if want := (limit.Tier{Name: "partner", RequestsPerMinute: 600, BurstPerSecond: 60, Concurrent: 20, BandwidthPerMonth: 500 << 30}); partner != want {
		t.Errorf("got %+v, want %+v", partner, want)
	}
	if want := (Defaults{Role: "developer", Tier: "pro", UserTier: "business", ClientTier: "pro", AnonymousTier: "free", KeyLifetime: 2160 * time.Hour}); p.Defaults() != want {
		t.Errorf("got %+v, want %+v", p.Defaults(), want)
	}
	// What is commented "default" there is one.
	if trial := (Trial{Enabled: true, TTL: 30 * time.Minute, Operations: 10, PerIPMinute: 5, Role: "trial"}); p.Trial() != trial || p.Retention() != defaultRetention() {
		t.Errorf("got %+v and %+v", p.Trial(), p.Retention())
	}
	if got := p.AnonymousTier(p.Match("h", "/healthz")).Name; got != "free" || p.Webhooks().AllowHTTP || len(p.Webhooks().AllowNetworks) != 1 {
		t.Errorf("got tier %s, webhooks %+v", got, p.Webhooks())
	}
	for role, want := range map[string]bool{"trial": false, "developer": true, "gone": false} {
		key := &identity.Principal{Method: identity.MethodAPIKey, KeyID: "key_1"}
		p.GrantKey(key, role, nil)
		if got := p.Decide(key, p.AskFor("h", "POST", "/api/streams", false)).Allow; got != want {
			t.Errorf("%s may write: %v", role, got)
		}
	}
	oauth := defaultOAuth()
	oauth.Resources, oauth.Registration.Scopes = []string{"https://api.example.com/v1"}, []string{"streams:read"}
	if diff := cmp.Diff(oauth, p.OAuth()); diff != "" {
		t.Errorf("oauth (-want +got):\n%s", diff)
	}
	token := &identity.Principal{Method: identity.MethodToken, Subject: "clerk|user_1"}
	p.GrantIssued(token, &p.Issuers()[0], []string{"metrics:push", "*"})
	if got := strings.Join(token.Scopes, " "); got != "streams:read streams:write metrics:push" {
		t.Errorf("the token holds %q", got)
	}
}
