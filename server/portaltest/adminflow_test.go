package portaltest

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// basic returns a caller with an access key, of which nothing needs to be right.
func (g *gate) basic(id, secret string) caller {
	return caller{g, http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}}}
}

// wantAnswer fails the test unless the app answers the caller with a status.
func (c caller) wantAnswer(t *testing.T, status int) {
	t.Helper()
	if got, _ := c.try(t, http.MethodGet, "/v1/streams", nil); got != status {
		t.Errorf("the app answers %d, want %d", got, status)
	}
}

func TestAnAdministratorStopsAPersonAndLetsThemGoOn(t *testing.T) {
	t.Parallel()
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			key := g.as(t, "bob").newKey(t, fields{"name": "Dashboard", "scopes": []string{"streams:read"}}).Key
			bob := g.signedIn(t, "bob", "/_portal/keys", ways...)
			p := g.signedIn(t, "grace", "/_portal/users", ways...)
			page := "/_portal/users/" + g.userID(t, "bob")
			p.follow("bob", page)
			p.tick("viewer", true)
			p.press("Save roles")
			p.see("The roles are saved")
			if !p.ticked("viewer") {
				t.Error("the role is not given")
			}
			p.follow("Disable…", page+"/disable")
			p.fill("Type", p.text("bdi.typed"))
			p.follow("Disable the user", page)
			p.see("The user is disabled")
			wantStatuses(t, g.send(t, key, "GET", "/v1/streams", 1), map[int]int{http.StatusUnauthorized: 1})
			bob.visit("/_portal/keys")
			bob.arrive("/_auth/login")
			p.press("Enable")
			p.see("The user is enabled")
			wantStatuses(t, g.send(t, key, "GET", "/v1/streams", 1), map[int]int{200: 1})
			bob.signIn("bob", "/_portal/keys")
			bob.see("Dashboard")
		})
	}
}

func TestAnAdministratorMakesAndRemovesAnAccessKey(t *testing.T) {
	t.Parallel()
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			p := g.signedIn(t, "grace", "/_portal/access-keys", ways...)
			p.follow("New access key", "/_portal/access-keys/new")
			p.press("Make the key")
			secret := p.takeSecret()
			_, command, _ := strings.Cut(p.code("#try"), "curl -u '")
			id, _, _ := strings.Cut(command, ":")
			g.basic(id, secret).wantAnswer(t, http.StatusOK)
			p.follow("I’ve kept it", "/_portal/access-keys")
			p.see(id, g.keyID)
			p.pressAt(id, "Remove…")
			p.fill("Type", id)
			p.follow("Remove the key", "/_portal/access-keys")
			p.see("The access key is removed", g.keyID)
			g.basic(id, secret).wantAnswer(t, http.StatusUnauthorized)
			g.byKey().wantAnswer(t, http.StatusOK)
		})
	}
}

func TestAnAdministratorLiftsALock(t *testing.T) {
	t.Parallel()
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			p := g.signedIn(t, "grace", "/_portal/lockouts", ways...)
			p.see("Nobody is locked out")
			for range 10 {
				g.basic(g.keyID, "none of its secrets").wantAnswer(t, http.StatusUnauthorized)
			}
			g.byKey().wantAnswer(t, http.StatusTooManyRequests)
			p.reload()
			locked := strings.ToLower(g.keyID) // keys are told apart without regard to case
			p.see(locked)
			p.shot("portal-lockouts-one")
			p.pressAt(locked, "Lift")
			p.see("The lock is lifted", "Nobody is locked out")
			g.byKey().wantAnswer(t, http.StatusOK)
		})
	}
}

func TestAnAdministratorRotatesTheSigningKeys(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "grace", "/_portal/signing-keys", ways...)
			before := len(p.texts("td.main"))
			token := g.as(t, "ada").token(t)
			p.follow("Rotate now…", "/_portal/signing-keys/rotate")
			p.fill("Type", "rotate")
			p.follow("Rotate the keys", "/_portal/signing-keys")
			p.see("New keys sign from now on")
			if after := len(p.texts("td.main")); after <= before {
				t.Errorf("there are %d keys, before %d", after, before)
			}
			wantStatuses(t, g.send(t, token, "GET", "/v1/streams", 1), map[int]int{200: 1})
		})
	}
}
