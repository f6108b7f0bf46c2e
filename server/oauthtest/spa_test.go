package oauthtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// TestPagesWithoutAServerWork has an app of one page in a real browser, on another
// site than the authorization server: everything that it asks is asked across
// origins.
func TestPagesWithoutAServerWork(t *testing.T) {
	t.Parallel()
	dir := scripts(t)
	browser := browsertest.Start(t)
	for name, open := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin, config := serveSPA(t, dir)
			s := open(t, map[string]app{"spa": {
				auth: "none", grants: grantsOfWeb, scope: "openid profile offline_access", redirect: origin + "/", bye: origin + "/",
			}})
			maps.Copy(config, map[string]any{"issuer": s.issuer, "client_id": s.clients["spa"].id, "scope": s.apps["spa"].scope, "revokes": s.gateway}) // oidc-provider answers a revocation with a type that oidc-client-ts refuses
			tab := &spa{t, browser.Private(t).Open(t, origin+"/", browsertest.Looks()[0], nil)}
			tab.waitFor("nobody", 0)
			tab.Click(t, "#sign-in")
			tab.signIn(s)
			tab.waitFor("ada", 0)
			for n := range 2 {
				tab.Click(t, "#renew")
				tab.waitFor("ada", n+1)
			}
			tab.Click(t, "#sign-out")
			tab.signOut(s)
			tab.waitFor("nobody", 0)
			for _, problem := range tab.Problems() {
				t.Errorf("the browser says: %s", problem)
			}
		})
	}
}

// serveSPA serves the page at an origin of its own. What is put into config is what
// the page is told.
func serveSPA(t *testing.T, dir string) (origin string, config map[string]any) {
	t.Helper()
	config = map[string]any{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(dir, "spa.html"))
	})
	mux.HandleFunc("GET /oidc-client-ts.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(dir, "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"))
	})
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(config); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1), config
}

// An spa is the tab of the app.
type spa struct {
	t *testing.T
	*browsertest.Page
}

// waitFor waits until the app shows who is signed in, and how often it has renewed
// the tokens since the page was loaded.
func (p *spa) waitFor(who string, renewed int) {
	p.t.Helper()
	state := quote(who + " " + strconv.Itoa(renewed))
	p.WaitFor(p.t, `document.body?.dataset.ready === "yes" && (document.getElementById("trouble").textContent !== "" ||
		document.getElementById("who").textContent + " " + document.getElementById("renewed").textContent === `+state+`)`)
	if trouble := browsertest.Eval[string](p.t, p.Page, `document.getElementById("trouble").textContent`); trouble != "" {
		p.t.Fatalf("the app says: %s", trouble)
	}
}

// signIn is what ada does at the authorization server: the form, and wavegate's
// question whether she agrees.
func (p *spa) signIn(s *stage) {
	p.t.Helper()
	p.WaitFor(p.t, `location.origin === `+quote(s.issuer)+` && document.querySelector("form [name=username]")`)
	p.Click(p.t, "[name=username]")
	p.Press(p.t, "ada\t")
	p.Click(p.t, "[name=password]")
	p.Press(p.t, s.password+"\r")
	if s.gateway {
		p.WaitFor(p.t, `document.querySelector("form [name=decision][value=allow]")`)
		p.Click(p.t, "[name=decision][value=allow]")
	}
}

// signOut agrees to be signed out at the authorization server, where it asks.
func (p *spa) signOut(s *stage) {
	p.t.Helper()
	const button = "form button[type=submit], #leave"
	p.WaitFor(p.t, `document.title === "App of one page" && document.body.dataset.ready === "yes" || location.origin === `+quote(s.issuer)+` && document.querySelector(`+quote(button)+`)`)
	if browsertest.Eval[bool](p.t, p.Page, `location.origin === `+quote(s.issuer)) {
		p.Click(p.t, button)
	}
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}
