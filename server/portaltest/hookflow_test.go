package portaltest

import (
	"net/http"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

func TestADeveloperIsToldByAWebhook(t *testing.T) {
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newGate(t).signedIn(t, "ada", "/_portal/webhooks", ways...)
			p.see("Hear about it when it happens")
			p.shot("portal-webhooks-none")
			p.makeWebhook("/hook")
			p.testWebhook("/hook")
			p.sendAgain("/hook")
			p.switchWebhook()
			p.removeWebhook()
		})
	}
}

// makeWebhook makes a webhook for two events that leads to the receiver, after an address that is
// none, and ends on its page.
func (p *person) makeWebhook(path string) {
	p.t.Helper()
	p.follow("New webhook", "/_portal/webhooks/new")
	p.fill("URL", "ftp://hooks.example.com/")
	if p.look.NoScript {
		p.press("Make the webhook")
	}
	p.page.WaitFor(p.t, `document.readyState === "complete" && document.querySelector("#f-url-error")?.hidden === false`)
	if got := p.value("URL"); got != "ftp://hooks.example.com/" {
		p.t.Errorf("the form lost what was typed: %q", got)
	}
	p.fill("URL", p.hook.URL+path)
	p.tick("These alone", true)
	p.tick("key_created", true)
	p.tick("key_revoked", true)
	p.fill("Description", "Team chat")
	p.press("Make the webhook")
	secret := p.takeSecret()
	p.see("Verify that it’s really us")
	p.leaveSecret("", secret)
	p.see("Team chat", "key_created", "Nothing was sent yet")
}

// testWebhook sends a test from the webhook on show, and sees what was sent and what
// came back.
func (p *person) testWebhook(path string) {
	p.t.Helper()
	p.press("Send a test")
	p.arriveAtDelivery()
	p.seeDelivery("Delivered", "204")
	p.shot("portal-delivery-test")
	p.wantArrival(path, 1)
	p.follow("Team chat", "/_portal/webhooks/"+p.id())
	p.see("Delivered", "204")
}

func (p *person) arriveAtDelivery() {
	p.t.Helper()
	p.page.WaitFor(p.t, `document.readyState === "complete" && !document.querySelector("main[aria-busy]") && location.pathname.includes("/deliveries/")`)
	p.checkNew()
}

// seeDelivery waits until the delivery on show has come to something. With scripts the
// page shows that by itself.
func (p *person) seeDelivery(state, answer string) {
	p.t.Helper()
	if p.look.NoScript {
		p.seeSoon(state, answer)
	} else {
		p.see(state, answer)
	}
	p.see("webhook-id", "webhook-signature", `"type":`)
}

// wantArrival fails the test unless so many deliveries came to the receiver, which all are signed.
func (p *person) wantArrival(path string, n int) {
	p.t.Helper()
	var ids []string
	for _, a := range p.webhooks() {
		if a.path == path {
			ids = append(ids, a.header.Get("Webhook-Id"))
		}
		if !strings.HasPrefix(a.header.Get("Webhook-Signature"), "v1,") {
			p.t.Errorf("%s came without a signature", a.path)
		}
	}
	if len(ids) != n {
		p.t.Errorf("%d deliveries came, want %d", len(ids), n)
	}
}

// sendAgain has the receiver fail, and sends what it did not take once more.
func (p *person) sendAgain(path string) {
	p.t.Helper()
	p.answer(path, http.StatusTeapot)
	p.press("Send a test")
	p.arriveAtDelivery()
	p.seeDelivery("418", "told to answer like this")
	p.shot("portal-delivery-failed")
	p.answer(path, http.StatusAccepted)
	p.press("Send it again")
	p.see("It is sent once more")
	p.seeDelivery("Delivered", "202")
	p.wantArrival(path, 3)
	p.follow("Team chat", "/_portal/webhooks/"+p.id())
}

// switchWebhook switches the webhook on show off and on, once with the note's button.
func (p *person) switchWebhook() {
	p.t.Helper()
	for _, back := range []string{"Undo", "Switch on"} {
		p.press("Switch off")
		p.see("The webhook was switched off")
		if !p.isOff() || p.has("Send a test") {
			p.t.Error("the webhook is not off")
		}
		p.press(back)
		p.see("The webhook was switched on", "Send a test")
		if p.isOff() {
			p.t.Errorf("after %s the webhook is still off", back)
		}
	}
}

func (p *person) isOff() bool {
	p.t.Helper()
	var answer struct{ Webhook struct{ Disabled bool } }
	p.as(p.t, "ada").call(p.t, "GET", "/v1/auth/webhooks/"+p.id(), nil, &answer)
	return answer.Webhook.Disabled
}

// removeWebhook removes the webhook on show, once its host was typed.
func (p *person) removeWebhook() {
	p.t.Helper()
	page := "/_portal/webhooks/" + p.id()
	p.follow("Remove…", page+"/remove")
	if disabled := browsertest.Eval[bool](p.t, p.page, found(`button(top, "Remove the webhook").disabled`)); disabled == p.look.NoScript {
		p.t.Errorf("before the name was typed the button is disabled: %t", disabled)
	}
	p.fill("Type", strings.TrimPrefix(p.hook.URL, "http://"))
	p.follow("Remove the webhook", "/_portal/webhooks")
	p.see("The webhook is removed", "Hear about it when it happens")
}
