package server

import (
	"strings"
	"testing"
)

// TestAWebhookIsCheckedWithoutMakingIt compares what the check says with what making
// one would.
func TestAWebhookIsCheckedWithoutMakingIt(t *testing.T) {
	m := manage(t)
	const check = hooks + "/check"
	m.try([]try{
		{"ann", "POST", check, `{"url": "https://hooks.example.com/x", "events": ["lockout"], "description": "d"}`, 200, "", []string{`"valid":true`, `"errors":[]`}, nil},
		{"ann", "POST", check, `{}`, 200, "", []string{`"valid":false`, `"field":"url"`, "is needed"}, nil},
		{"ann", "POST", check + "?partial=true", `{}`, 200, "", []string{`"valid":true`}, nil},
		{"ann", "POST", check + "?partial=true", `{"events": ["no_event"], "url": null}`, 200, "", []string{`"field":"events[0]"`}, []string{`"url"`, "no_event"}},
		{"ann", "POST", check, `{"url": "http://10.0.0.7/x", "secret": "whsec_mine"}`, 200, "", []string{`"field":"url"`, "private", `"field":"secret"`}, []string{"whsec_mine"}},
		{"ann", "POST", check, `{"url": "https://hooks.example.com/x", "all": true}`, 200, "", []string{`"field":"all"`, "administrators"}, nil},
		{"admin", "POST", check, `{"url": "https://hooks.example.com/x", "all": true}`, 200, "", []string{`"valid":true`}, nil},
		{"ann", "POST", check + "?part=true", `{}`, 400, "invalid_request", []string{`"field":"part"`}, nil},
		{"ann", "POST", check, `[]`, 400, "invalid_request", nil, nil},
		{"ann", "GET", hooks, "", 200, "", []string{`"webhooks":[]`}, nil},
		{"admin", "GET", hooks + "?all=true", "", 200, "", []string{`"webhooks":[]`}, nil},
	})
	m.call("POST", check, `{}`).want(t, 401, "credential_required")
	reader := m.as("ann", "POST", "/v1/auth/keys", `{"name": "k", "scopes": ["webhooks:read"]}`).text(t, "api_key.key")
	m.call("POST", check, `{}`, "X-API-Key", reader).want(t, 403, "insufficient_scope")
}

// TestAWebhookTellsOfItsLastDelivery goes through the list, the webhook itself, and
// one of everybody's events, whose deliveries its owner's API keys do not see.
func TestAWebhookTellsOfItsLastDelivery(t *testing.T) {
	m, to := manage(t), newReceiver(t)
	lacks := func(a answer, text string) {
		t.Helper()
		if a.want(t, 200, ""); strings.Contains(a.body, text) {
			t.Errorf("%s in %s", text, a.body)
		}
	}
	one := hooks + "/" + m.as("admin", "POST", hooks, `{"url": "`+to.URL+`", "all": true}`).text(t, "webhook.id")
	lacks(m.as("admin", "GET", one, ""), "last_delivery")
	sent := m.as("admin", "POST", one+"/test", "").text(t, "delivery.id")
	eventually(t, "the delivery", func() bool {
		state, _ := m.as("admin", "GET", one, "").at(t, "webhook.last_delivery.state").(string)
		return state == "delivered"
	})
	if got := m.as("admin", "GET", hooks, "").text(t, "webhooks.0.last_delivery.id"); got != sent {
		t.Errorf("the list tells of %q, want %q", got, sent)
	}
	lacks(m.as("admin", "GET", one, ""), "payload")
	key := m.as("admin", "POST", "/v1/auth/keys", `{"name": "k", "scopes": ["webhooks:read"]}`).text(t, "api_key.key")
	for _, path := range []string{hooks, one} {
		lacks(m.call("GET", path, "", "X-API-Key", key), "last_delivery")
	}
}
