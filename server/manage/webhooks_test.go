package manage

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"wavegate/server/fault"
)

const (
	aDelivery = `{"id": "dlv_1", "webhook_id": "whk_1", "event_id": "evt_1", "event_type": "key_revoked", "state": %q, "attempts": %d,
		"created_at": "2026-11-27T08:00:00Z", "next_attempt_at": %s, "last_attempt_at": "2026-11-27T08:00:05Z",
		"last_status": 503, "last_error": "the server answered 503", "last_response": "<h1>try later</h1>", "payload": {"type":"key_revoked"}}`
	hookJSON = `{"id": "whk_1", "owner": "sub:local|ann", "url": "https://hooks.example.com/in?a=b", "description": "Pager", "events": ["lockout", "key_expiring"],
		"all": %t, "disabled": %t, "old_secret_expires_at": null, "disabled_at": null, "created_at": "2026-11-27T07:00:00Z",
		"updated_at": "2026-11-27T07:00:00Z", "version": 4%s}`
	webhookCatalog = `{"events": ["key_created", "key_expiring", "lockout"]}`
)

func hookAnswer(all, disabled bool, more string) string {
	return `{"webhook": ` + fmt.Sprintf(hookJSON, all, disabled, more) + `}`
}

func deliveryOf(state string, attempts int) string {
	next := "null"
	if state == "pending" {
		next = `"2026-11-27T08:00:35Z"`
	}
	return fmt.Sprintf(aDelivery, state, attempts, next)
}

// hookDesk is a portal where ann has one webhook with one delivery that failed.
func hookDesk(t *testing.T, answers map[string]any) *testDesk {
	t.Helper()
	d := newDesk(t, map[string]any{
		"GET /v1/auth/catalog":                         webhookCatalog,
		"GET /v1/auth/webhooks/whk_1":                  hookAnswer(false, false, ""),
		"GET /v1/auth/webhooks/whk_1/deliveries":       `{"deliveries": [` + deliveryOf("pending", 1) + `], "next_cursor": "dlv_1"}`,
		"GET /v1/auth/webhooks/whk_1/deliveries/dlv_1": `{"delivery": ` + deliveryOf("pending", 1) + `}`,
	})
	maps.Copy(d.api.answers, answers)
	return d
}

func TestWebhooksAreListedWithHowTheyAre(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/webhooks": `{"webhooks": [` +
		fmt.Sprintf(hookJSON, false, false, `, "last_delivery": `+deliveryOf("dead", 9)) + "," + fmt.Sprintf(hookJSON, true, true, "") + `], "next_cursor": "whk_1"}`})
	page := d.get("webhooks").want(http.StatusOK, "Pager", "hooks.example.com/in?a=b", "Failing", "503 Service Unavailable", "lockout, key_expiring",
		">Off<", "everybody’s", "none yet", "cursor=whk_1", "/gate/_portal/webhooks/new")
	page.without("sub:local|ann", "How it works")
	d.admin().get("webhooks?all=true").want(http.StatusOK, "All webhooks", "sub:local|ann")
	if got, _ := d.last(http.MethodGet); got.Path == "/v1/auth/webhooks" && got.Query.Get("all") != "true" {
		t.Errorf("the API was asked for %s", got.Target())
	}
}

func TestTheEmptyListOfWebhooksTeaches(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/webhooks": `{"webhooks": []}`})
	d.get("webhooks").want(http.StatusOK, "A webhook is an address of yours", "within 15 seconds", "wh.verify(req.body, req.headers)", "webhooks/new")
	d.admin().get("webhooks?all=true").want(http.StatusOK, "Nobody has a webhook yet").without("How it works")
}

func TestAWebhookIsMadeAndItsSecretIsShownOnce(t *testing.T) {
	d := hookDesk(t, map[string]any{"POST /v1/auth/webhooks": hookAnswer(false, false, `, "secret": "whsec_abc"`)})
	page := d.get("webhooks/new").want(http.StatusOK, "All events", "key_expiring", "A key ends within 7 days", "data-preview").without("Everybody’s events")
	form := page.form("webhooks/new")
	if form.Get("which") != "all" {
		t.Errorf("the form stands on %q, want all", form.Get("which"))
	}
	form.Set("url", " https://hooks.example.com/in ")
	form["events"] = []string{"lockout"} // ticked, and then all were chosen
	made := d.post("webhooks/new", form).want(http.StatusOK, "whsec_abc", "Copy the secret now", "WEBHOOK_SECRET", "webhooks/whk_1")
	if made.Header.Get("Cache-Control") != "no-store" {
		t.Error("the page with the secret may be kept")
	}
	if _, body := d.last(http.MethodPost); body != `{"description":"","events":[],"url":"https://hooks.example.com/in"}` {
		t.Errorf("the API was sent %s", body)
	}
	d.post("webhooks/new", form).want(http.StatusOK, "sent twice").without("whsec_abc")
}

func TestSomeEventsAreChosenForAWebhook(t *testing.T) {
	d := hookDesk(t, map[string]any{"POST /v1/auth/webhooks": hookAnswer(true, false, `, "secret": "whsec_abc"`)})
	form := d.admin().get("webhooks/new").want(http.StatusOK, "Everybody’s events").form("webhooks/new")
	form.Set("url", "https://hooks.example.com/in")
	form.Set("which", "some")
	d.post("webhooks/new", form).want(http.StatusOK, "Choose at least one event", "https://hooks.example.com/in")
	if got := d.made(http.MethodPost); len(got) != 0 {
		t.Errorf("a form without events was sent on: %v", got)
	}
	form["events"], form["all"] = []string{"lockout", "key_expiring"}, []string{"true"}
	d.post("webhooks/new", form).want(http.StatusOK, "whsec_abc")
	if _, body := d.last(http.MethodPost); body != `{"all":true,"description":"","events":["lockout","key_expiring"],"url":"https://hooks.example.com/in"}` {
		t.Errorf("the API was sent %s", body)
	}
}

func TestAWebhookIsCheckedWhileItsFormIsFilledIn(t *testing.T) {
	d := hookDesk(t, map[string]any{"POST /v1/auth/webhooks/check": `{"valid": false, "errors": [{"field": "url", "message": "plain http can be read on its way: use https"}]}`})
	form := url.Values{"url": {"http://x.example.com/<b>"}, "which": {"some"}, "_preview": {"url"}}
	d.post("webhooks/new", form).want(http.StatusOK, "Plain http can be read on its way: use https.", "http://x.example.com/&lt;b&gt;").without("Choose at least one")
	if got := d.made(http.MethodPost); len(got) != 1 || got[0] != "/v1/auth/webhooks/check?partial=true" {
		t.Errorf("calls: %v", got)
	}
}

func TestAWebhookIsChangedUnlessSomebodyElseDidMeanwhile(t *testing.T) {
	version := 4
	d := hookDesk(t, map[string]any{"PATCH /v1/auth/webhooks/whk_1": func(c Call) any {
		if c.Match != fmt.Sprint(version) {
			return &fault.Error{Status: http.StatusPreconditionFailed, Code: "changed", Message: "Changed."}
		}
		return hookAnswer(false, false, "")
	}})
	form := d.get("webhooks/whk_1/edit").want(http.StatusOK, "https://hooks.example.com/in?a=b").form("webhooks/whk_1/edit")
	if form.Get("which") != "some" || len(form["events"]) != 2 || form.Get("_version") != "4" {
		t.Errorf("the form is %v", form)
	}
	form.Set("description", "Mine")
	version = 5
	d.api.answers["GET /v1/auth/webhooks/whk_1"] = strings.Replace(strings.Replace(hookAnswer(false, true, ""), `"version": 4`, `"version": 5`, 1), "Pager", "Theirs", 1)
	again := d.post("webhooks/whk_1/edit", form).want(http.StatusOK, "Somebody else changed this webhook", "Theirs", "Mine", "state: Off").form("webhooks/whk_1/edit")
	d.post("webhooks/whk_1/edit", again).leads("webhooks/whk_1?done=saved")
	if c, body := d.last(http.MethodPatch); c.Match != "5" || !strings.Contains(body, `"Mine"`) {
		t.Errorf("the API was sent %s for version %s", body, c.Match)
	}
}

func TestAWebhookIsSwitchedAndSwitchedBack(t *testing.T) {
	d := hookDesk(t, map[string]any{"PATCH /v1/auth/webhooks/whk_1": func(c Call) any { return hookAnswer(false, c.Body.(map[string]any)["disabled"].(bool), "") }})
	form := d.get("webhooks/whk_1").want(http.StatusOK, "Switch off").form("webhooks/whk_1/switch")
	d.post("webhooks/whk_1/switch", form).leads("webhooks/whk_1?done=webhook-off")
	d.get("webhooks/whk_1?done=webhook-off").want(http.StatusOK).without("Undo") // somebody else was there
	d.api.answers["GET /v1/auth/webhooks/whk_1"] = hookAnswer(false, true, "")
	off := d.get("webhooks/whk_1?done=webhook-off").want(http.StatusOK, "The webhook was switched off", "Undo", "Switch on").without("Send a test")
	undo := off.form("webhooks/whk_1/switch")
	d.post("webhooks/whk_1/switch", undo).leads("webhooks/whk_1?done=webhook-on")
	if _, body := d.last(http.MethodPatch); body != `{"disabled":false}` {
		t.Errorf("the API was sent %s", body)
	}
}

func TestDeliveriesAreListedByStateAndPage(t *testing.T) {
	d := hookDesk(t, nil)
	d.get("webhooks/whk_1").want(http.StatusOK, "Pager", "key_revoked", "Waiting", "503 Service Unavailable", "webhooks/whk_1/deliveries/dlv_1", `id="sent" data-live`, "webhooks/whk_1?cursor=dlv_1")
	d.get("webhooks/whk_1?state=pending&cursor=dlv_9").want(http.StatusOK, "First page").without(`id="sent" data-live`)
	if got := d.made(http.MethodGet); !strings.Contains(strings.Join(got, " "), "/v1/auth/webhooks/whk_1/deliveries?cursor=dlv_9&limit=25&state=pending") {
		t.Errorf("calls: %v", got)
	}
}

func TestDeliveriesOfEverybodysEventsAreNotForTheirOwnerAlone(t *testing.T) {
	d := hookDesk(t, map[string]any{
		"GET /v1/auth/webhooks/whk_1":            hookAnswer(true, false, ""),
		"GET /v1/auth/webhooks/whk_1/deliveries": &fault.Error{Status: http.StatusForbidden, Code: "insufficient_role", Message: "For administrators."},
	})
	d.get("webhooks/whk_1").want(http.StatusOK, "Administrators alone see what was sent", "Remove").without("Send a test", "Switch off")
}

func TestATestShowsItsDelivery(t *testing.T) {
	d := hookDesk(t, map[string]any{"POST /v1/auth/webhooks/whk_1/test": `{"delivery": ` + deliveryOf("pending", 0) + `}`})
	form := d.get("webhooks/whk_1").form("webhooks/whk_1/test")
	d.post("webhooks/whk_1/test", form).leads("webhooks/whk_1/deliveries/dlv_1")
	d.api.answers["POST /v1/auth/webhooks/whk_1/test"] = &fault.Error{Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded", Message: "Many deliveries wait."}
	refused := d.post("webhooks/whk_1/test", d.get("webhooks/whk_1").form("webhooks/whk_1/test"))
	refused.want(http.StatusOK, "Many deliveries wait.", "Send a test", "cursor=dlv_1").without("whk_1/test?cursor")
}

func TestADeliveryShowsRequestAndResponse(t *testing.T) {
	d := hookDesk(t, map[string]any{"POST /v1/auth/webhooks/whk_1/deliveries/dlv_1/redeliver": `{"delivery": ` + strings.Replace(deliveryOf("pending", 0), "dlv_1", "dlv_2", 1) + `}`})
	page := d.get("webhooks/whk_1/deliveries/dlv_1").want(http.StatusOK,
		"POST https://hooks.example.com/in?a=b", "webhook-id: evt_1", "webhook-timestamp: 1795766405", "webhook-signature: v1,…", "{\n  &#34;type&#34;: &#34;key_revoked&#34;\n}",
		"503 Service Unavailable", "&lt;h1&gt;try later&lt;/h1&gt;", "The server answered 503.", "The next attempt is at", "28 Nov 2026, 08:00 UTC", `data-live="true"`)
	d.post("webhooks/whk_1/deliveries/dlv_1/redeliver", page.form("webhooks/whk_1/deliveries/dlv_1/redeliver")).leads("webhooks/whk_1/deliveries/dlv_2?done=webhook-again")
	for state, words := range map[string]string{"delivered": "Delivered", "dead": "Given up"} {
		d.api.answers["GET /v1/auth/webhooks/whk_1/deliveries/dlv_1"] = `{"delivery": ` + deliveryOf(state, 2) + `}`
		d.get("webhooks/whk_1/deliveries/dlv_1").want(http.StatusOK, words, "the last of 2 attempts").without("data-live", "next attempt")
	}
}

func TestTheSecretOfAWebhookIsMadeAnew(t *testing.T) {
	d := hookDesk(t, map[string]any{
		"POST /v1/auth/webhooks/whk_1/rotate-secret": strings.Replace(hookAnswer(false, false, `, "secret": "whsec_new"`), `"old_secret_expires_at": null`, `"old_secret_expires_at": "2026-11-28T08:00:00Z"`, 1),
	})
	form := d.get("webhooks/whk_1/rotate").want(http.StatusOK, "For 24 hours each request is signed with both").without("stops at once").form("webhooks/whk_1/rotate")
	d.post("webhooks/whk_1/rotate", form).want(http.StatusOK, "whsec_new", "Until", "28 Nov 2026, 08:00 UTC")
	d.api.answers["GET /v1/auth/webhooks/whk_1"] = strings.Replace(hookAnswer(false, false, ""), `"old_secret_expires_at": null`, `"old_secret_expires_at": "2026-11-28T08:00:00Z"`, 1)
	d.get("webhooks/whk_1/rotate").want(http.StatusOK, "stops at once")
}

func TestAWebhookIsRemovedOnceItsHostWasTyped(t *testing.T) {
	d := hookDesk(t, map[string]any{"DELETE /v1/auth/webhooks/whk_1": ""})
	form := d.get("webhooks/whk_1/remove").want(http.StatusOK, "hooks.example.com", "switch it off instead").form("webhooks/whk_1/remove")
	form.Set("confirm", "Pager")
	d.post("webhooks/whk_1/remove", form).want(http.StatusOK, "That is not the name")
	form.Set("confirm", "hooks.example.com")
	d.post("webhooks/whk_1/remove", form).leads("webhooks?done=webhook-removed")
	if got := d.made(http.MethodDelete); len(got) != 1 {
		t.Errorf("calls: %v", got)
	}
}

func TestWhoMayOnlyReadWebhooksIsOfferedNothingElse(t *testing.T) {
	d := hookDesk(t, map[string]any{
		"GET /v1/auth/status":   map[string]any{"caller": map[string]any{"permissions": []string{"webhooks:read"}}},
		"GET /v1/auth/webhooks": `{"webhooks": []}`,
	})
	d.get("webhooks").want(http.StatusOK).without("New webhook")
	d.get("webhooks/whk_1").want(http.StatusOK, "key_revoked").without("Send a test", "Switch off", "/edit", "Remove", "/rotate")
	d.get("webhooks/whk_1/deliveries/dlv_1").want(http.StatusOK, "webhook-id").without("Send it again")
}
