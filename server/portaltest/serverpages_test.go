package portaltest

import (
	"strings"
	"testing"
)

func TestAnAdministratorReadsTheAuditLog(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	key := g.as(t, "ada").newKey(t, fields{"name": "Night build", "scopes": []string{"streams:read"}})
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "grace", "/_portal/audit", ways...)
			p.see("ada made the key Night build", "Done")
			p.fill("What", "Key revoked")
			if p.look.NoScript {
				p.press("Search")
			}
			p.see("Nothing fits")
			p.fill("What", "Key made")
			if p.look.NoScript {
				p.press("Search")
			}
			p.see("ada made the key Night build")
			p.press("key.create")
			p.see(key.ID, "Request ID")
			p.press("Night build")
			p.see("Last used", key.ID)

			p.open("/_portal/audit")
			p.press("Verify the log")
			p.see("As it was written", "No entry was changed")
		})
	}
}

func TestAnAdministratorAsksWhy(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	key := g.as(t, "ada").newKey(t, fields{"name": "Night build", "scopes": []string{"streams:read"}})
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "grace", "/_portal/policy", ways...)
			p.fill("Search", "/public")
			p.press("Search")
			p.see("Everybody")
			p.seeNot("streams:read")
			p.pressAt("/public", "Why?")
			p.see("Allowed", "200 allowed")

			p.fill("Request", "DELETE /v1/streams/7")
			p.fill("As whom", key.Key)
			p.press("Ask")
			p.see("This holds an API key")
			if p.value("As whom") != "" || strings.Contains(p.path(), key.Key) {
				t.Error("the key is still there")
			}
			p.fill("As whom", key.ID)
			p.press("Ask")
			p.see("Refused", "403 insufficient_scope", "It needs streams:delete")
		})
	}
}

func TestAnAdministratorLooksAtTheHealth(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "grace", "/_portal/health", ways...)
			p.see("Store", "Keychain", "Up for")
			p.pressAt("Sessions that are used", "Details")
			p.see("Remembered")
		})
	}
}
