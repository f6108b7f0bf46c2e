package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/server/identity"
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
