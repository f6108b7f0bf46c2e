package portaltest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"wavegate/server/portal/browsertest"
)

// anyKey is how a key looks that the portal may have on a page once.
const anyKey = "wave_live_"

func TestADeveloperMakesUsesRotatesAndRevokesAKey(t *testing.T) {
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newGate(t).signedIn(t, "ada", "/_portal/keys", ways...)
			first := p.makeFirstKey("Encoder")
			id := p.id()
			p.useKey(first)
			p.editKey(first)
			second := p.rotateKey(first)
			p.revokeKey(id, first, second)
			p.as(t, "ada").wantUsage(t, "key="+id, tally{Requests: 7, Refused: 2})
		})
	}
}

// makeFirstKey makes a key that opens streams:read, and ends on its page.
func (p *person) makeFirstKey(name string) (key string) {
	p.t.Helper()
	p.see("Make your first key")
	p.shot("portal-keys-none")
	p.follow("New key", "/_portal/keys/new")
	p.fill("Name", name)
	p.tick("streams:read", true)
	p.press("Make the key")
	key = p.takeSecret()
	p.see("Copy the key now", "curl ")
	p.press("I’ve kept it")
	p.page.WaitFor(p.t, `location.pathname.startsWith("/_portal/keys/") && location.pathname !== "/_portal/keys/new"`)
	p.see(name, "Active")
	if strings.Contains(p.text("body"), key) {
		p.t.Error("the key is shown again")
	}
	return key
}

// takeSecret takes what is shown once off the page: with the button, which copies or
// selects it, or by hand.
func (p *person) takeSecret() (secret string) {
	p.t.Helper()
	p.page.WaitFor(p.t, `document.querySelector("#secret")`)
	p.checkNew()
	secret = p.text("#secret")
	if secret == "" {
		p.t.Fatalf("%s shows no secret", p.path())
	}
	if !p.look.NoScript {
		p.watchClipboard()
		p.click(`document.querySelector("button[data-copy=secret]")`)
		p.wantCopied(secret)
	}
	return secret
}

// watchClipboard notes what the page puts into the clipboard: all windows share that one.
func (p *person) watchClipboard() {
	p.t.Helper()
	p.page.WaitFor(p.t, `(() => {
		const write = navigator.clipboard.writeText;
		navigator.clipboard.writeText = text => { window.copied = text; return write.call(navigator.clipboard, text); };
		return true;
	})()`)
}

// wantCopied fails the test unless the button that was pressed last copied a text, or
// selected it where the browser lets no page copy.
func (p *person) wantCopied(text string) {
	p.t.Helper()
	p.page.WaitFor(p.t, `[...document.querySelectorAll("button.copy")].some(b => ["Copied", "Selected"].includes(b.innerText))`)
	if got := browsertest.Eval[string](p.t, p.page, `getSelection().toString().trim() || window.copied`); got != text {
		p.t.Errorf("the button copied %d bytes that are not the secret", len(got))
	}
}

// useKey sends requests with a key that opens streams:read, and sees them on its page.
func (p *person) useKey(key string) {
	p.t.Helper()
	wantStatuses(p.t, p.send(p.t, key, "GET", "/v1/streams", 3), map[int]int{200: 3})
	wantStatuses(p.t, p.send(p.t, key, "POST", "/v1/streams", 1), map[int]int{403: 1})
	p.reload()
	p.seeSoon("POST /v1/streams", "403 insufficient_scope")
	p.see("streams:write") // what it lacks
}

// editKey gives the key on show another scope, and lets it work from elsewhere alone,
// then from here.
func (p *person) editKey(key string) {
	p.t.Helper()
	page := "/_portal/keys/" + p.id()
	p.follow("Edit", page+"/edit")
	p.tick("streams:write", true)
	p.unfold("Where it works")
	p.fill("Works from", "203.0.113.0/24")
	p.follow("Save", page)
	p.see("Saved.", "203.0.113.0/24", "streams:write")
	wantStatuses(p.t, p.send(p.t, key, "POST", "/v1/streams", 1), map[int]int{403: 1})
	p.follow("Edit", page+"/edit")
	p.fill("Works from", "203.0.113.0/24\n127.0.0.1/8\nnowhere")
	p.press("Save")
	p.see("Some of this cannot be taken as it is")
	if got := p.value("Works from"); got != "203.0.113.0/24\n127.0.0.1/8\nnowhere" || !strings.Contains(p.text("#f-allowed_ips-error"), "Line 3") {
		p.t.Errorf("the field holds %q, with the complaint %q", got, p.text("#f-allowed_ips-error"))
	}
	p.fill("Works from", "127.0.0.0/8")
	p.follow("Save", page)
	wantStatuses(p.t, p.send(p.t, key, "POST", "/v1/streams", 1), map[int]int{200: 1})
}

// rotateKey replaces the key on show and ends on the page of the new one. The slider
// is moved by the keyboard.
func (p *person) rotateKey(old string) (key string) {
	p.t.Helper()
	p.follow("Rotate", "/_portal/keys/"+p.id()+"/rotate")
	p.tabTo("The old key works on")
	p.keys(kb.ArrowRight + kb.ArrowRight)
	if got := p.value("The old key works on"); got != "48" {
		p.t.Errorf("the slider is at %s hours, want 48", got)
	}
	if says := p.text("#grace-says"); !p.look.NoScript && says != "2 days" {
		p.t.Errorf("the slider says %q, want 2 days", says)
	}
	p.fill("The old key works on", "168")
	p.shot("portal-key-rotating")
	p.press("Rotate the key")
	key = p.takeSecret()
	if key == old || !strings.HasPrefix(key, anyKey) {
		p.t.Error("the new key is not a new one")
	}
	p.see("The key before it works until")
	wantStatuses(p.t, p.send(p.t, old, "GET", "/v1/streams", 1), map[int]int{200: 1})
	wantStatuses(p.t, p.send(p.t, key, "GET", "/v1/streams", 1), map[int]int{200: 1})
	p.press("I’ve kept it")
	p.see("Revoke this key")
	return key
}

// revokeKey revokes the old key of an ID, which is in grace, and then the one on show.
func (p *person) revokeKey(old, oldKey, key string) {
	p.t.Helper()
	fresh := p.id()
	for _, k := range []struct{ id, key string }{{old, oldKey}, {fresh, key}} {
		p.open("/_portal/keys/" + k.id)
		p.follow("Revoke…", "/_portal/keys/"+k.id+"/revoke")
		p.fill("Type", "Something else")
		if p.look.NoScript && k.id == old {
			p.press("Revoke the key")
			p.see("That is not the name")
			wantStatuses(p.t, p.send(p.t, k.key, "GET", "/v1/streams", 1), map[int]int{200: 1})
		}
		p.fill("Type", p.text("bdi.typed"))
		p.follow("Revoke the key", "/_portal/keys/"+k.id)
		p.see("The key is revoked", "Revoked")
		wantStatuses(p.t, p.send(p.t, k.key, "GET", "/v1/streams", 1), map[int]int{http.StatusUnauthorized: 1})
	}
	p.backToRevoked()
}

// backToRevoked goes back from the page of a key that was revoked just now: no page
// shows it as one that works.
func (p *person) backToRevoked() {
	p.t.Helper()
	for range 2 {
		p.back()
		p.page.WaitFor(p.t, `document.readyState === "complete" && !document.querySelector("main[aria-busy]")`)
	}
	p.see("Revoked")
	if p.has("Revoke…") || p.has("Rotate") {
		p.t.Error("after it was revoked, the back button leads to a page that offers to do it again")
	}
}
