package server

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const hooks = "/v1/auth/webhooks"

func TestEveryWrongFieldOfAWebhookIsNamedAtOnce(t *testing.T) {
	m := manage(t)
	long := `"` + strings.Repeat("x", maxWebhookText+1) + `"`
	m.try([]try{
		{"ann", "POST", hooks, `{}`, 400, "invalid_request", []string{`"field":"url"`, "is needed"}, nil},
		{
			"ann", "POST", hooks, `{"url": "ftp://x", "events": ["key_created", "sk_live_secret", "key_created"], "description": ` + long + `, "secret": "whsec_mine", "disabled": "no"}`, 400, "invalid_request",
			[]string{`"field":"url"`, `"field":"events[1]"`, `"field":"events[2]"`, `"field":"description"`, `"field":"secret"`, `"field":"disabled"`, "key_revoked"},
			[]string{"sk_live_secret", "whsec_mine"},
		},
		{"ann", "POST", hooks, `{"url": "http://10.0.0.7/x"}`, 400, "invalid_request", []string{"private"}, nil},
		{"ann", "POST", hooks, `{"url": "https://hooks.example.com/x", "events": [` + strings.Repeat(`"x",`, 20) + `"x"]}`, 400, "invalid_request", []string{"21 entries"}, nil},
		{"ann", "POST", hooks, `{"url": "https://hooks.example.com/x", "all": true}`, 403, "insufficient_role", nil, nil},
		{"ann", "POST", hooks, `[]`, 400, "invalid_request", nil, nil},
		{
			"ann", "GET", hooks + "?limit=0&al=true&cursor=x&cursor=y&all=yes", "", 400, "invalid_request",
			[]string{`"field":"limit"`, `"field":"al"`, `"field":"cursor"`, `"field":"all"`},
			nil,
		},
		{"ann", "GET", hooks + "?all=true", "", 403, "insufficient_role", nil, nil},
		{"ann", "GET", hooks + "?owner=key:bob", "", 403, "insufficient_role", nil, nil},
		{"ann", "GET", hooks + "?owner=key:ann", "", 200, "", []string{`"webhooks":[]`}, nil},
	})
	m.call("POST", hooks, `{}`).want(t, 401, "credential_required")
	m.do("POST", hooks, `url=x`, "Authorization", basic("ann", "secret"), "Content-Type", "text/plain").want(t, 415, "unsupported_media_type")
	m.as("ann", "POST", hooks, `{"url": "https://x.example.com"}`, "Sec-Fetch-Site", "cross-site").want(t, 403, "cross_origin")
}

func TestAWebhookIsMadeChangedAndRemoved(t *testing.T) {
	m := manage(t)
	made := m.as("ann", "POST", hooks, `{"url": "https://hooks.example.com/secret-path", "events": ["key_created"], "description": "<&>"}`).want(t, 201, "")
	id, secret := made.text(t, "webhook.id"), made.text(t, "webhook.secret")
	if !strings.HasPrefix(secret, "whsec_") || made.text(t, "warning") == "" || made.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("answer %q", made.body)
	}
	one := hooks + "/" + id
	m.try([]try{
		{"ann", "GET", hooks, "", 200, "", []string{id}, []string{"whsec_", "warning"}},
		{"ann", "GET", one, "", 200, "", []string{`"owner":"key:ann"`, "secret-path", `"disabled":false`, `"disabled_at":null`}, []string{"whsec_", "warning"}},
		{"ann", "PATCH", one, `{}`, 200, "", []string{"secret-path"}, nil},
		{"ann", "PATCH", one, `{"events": [], "disabled": true, "all": null}`, 200, "", []string{`"events":[]`, `"disabled":true`, "secret-path"}, nil},
		{"ann", "PATCH", one, `{"url": "", "description": "\u0000"}`, 400, "invalid_request", []string{`"field":"url"`, `"field":"description"`}, nil},
		{"ann", "PATCH", one, `{"all": true}`, 400, "invalid_request", []string{`"field":"all"`}, nil},
		{"ann", "POST", one + "/test", ``, 409, "webhook_disabled", nil, nil},
		{"ann", "PATCH", one, `{"disabled": false}`, 200, "", []string{`"disabled":false`, `"disabled_at":null`}, nil},
		{"ann", "PUT", one, `{}`, 405, "method_not_allowed", nil, nil},
		{"ann", "DELETE", one, ``, 204, "", nil, nil},
		{"ann", "DELETE", one, ``, 404, "not_found", nil, nil},
		{"ann", "GET", one, ``, 404, "not_found", nil, nil},
		{
			"ann", "GET", "/v1/auth/audit?target=" + id, "", 200, "",
			[]string{"webhook.create", "webhook.change", "webhook.remove", `"actor":"key:ann"`, "https://hooks.example.com"},
			[]string{"secret-path", "whsec_"},
		},
	})
}

func TestNobodySeesOrTouchesSomebodyElsesWebhook(t *testing.T) {
	m := manage(t)
	made := m.as("ann", "POST", hooks, `{"url": "https://hooks.example.com/"}`).want(t, 201, "")
	one := hooks + "/" + made.text(t, "webhook.id")
	m.as("ann", "POST", one+"/test", "").want(t, 202, "")
	delivery := m.as("ann", "GET", one+"/deliveries", "").text(t, "deliveries.0.id")
	for _, x := range []struct{ method, path, body string }{
		{"GET", one, ""},
		{"PATCH", one, `{"disabled": true}`},
		{"DELETE", one, ""},
		{"POST", one + "/test", ""},
		{"POST", one + "/rotate-secret", ""},
		{"GET", one + "/deliveries", ""},
		{"GET", one + "/deliveries/" + delivery, ""},
		{"POST", one + "/deliveries/" + delivery + "/redeliver", ""},
	} {
		m.as("bob", x.method, x.path, x.body).want(t, 404, "not_found")
		m.as("bob", x.method, strings.Replace(x.path, made.text(t, "webhook.id"), "whk_none", 1), x.body).want(t, 404, "not_found")
	}
	m.try([]try{
		{"bob", "GET", hooks, "", 200, "", nil, []string{one[len(hooks)+1:]}},
		{"admin", "GET", one, "", 200, "", []string{`"owner":"key:ann"`}, nil},
		{"admin", "GET", hooks, "", 200, "", []string{`"webhooks":[]`}, nil},
		{"admin", "GET", hooks + "?all=true", "", 200, "", []string{one[len(hooks)+1:]}, nil},
		{"admin", "GET", hooks + "?owner=key:ann", "", 200, "", []string{one[len(hooks)+1:]}, nil},
		{"ann", "GET", one, "", 200, "", []string{`"disabled":false`, `"old_secret_expires_at":null`}, nil},
	})
}

// TestAKeyNeedsItsScopeForWebhooks goes through API keys: their scopes count, and
// they act for their owner.
func TestAKeyNeedsItsScopeForWebhooks(t *testing.T) {
	m := manage(t)
	m.as("ann", "POST", hooks, `{"url": "https://hooks.example.com/"}`).want(t, 201, "")
	key := func(scopes string) string {
		return m.as("ann", "POST", "/v1/auth/keys", `{"name": "k", "scopes": [`+scopes+`]}`).want(t, 201, "").text(t, "api_key.key")
	}
	reader, other := key(`"webhooks:read"`), key(`"usage:read"`)
	if a := m.call("GET", hooks, "", "X-API-Key", reader).want(t, 200, ""); a.at(t, "webhooks.0.owner") != "key:ann" {
		t.Errorf("the key does not see its owner's webhooks: %s", a.body)
	}
	m.call("POST", hooks, `{"url": "https://hooks.example.com/"}`, "X-API-Key", reader).want(t, 403, "insufficient_scope")
	m.call("GET", hooks, "", "X-API-Key", other).want(t, 403, "insufficient_scope")
	m.call("GET", "/v1/auth/audit", "", "X-API-Key", reader).want(t, 403, "insufficient_scope")
	m.call("GET", "/v1/auth/lockouts", "", "X-API-Key", reader).want(t, 403, "insufficient_scope")
}

func TestAnOwnerHasTwentyWebhooksAtMost(t *testing.T) {
	m := manage(t)
	var made sync.WaitGroup
	counts := make(chan int, 2*maxWebhooks)
	for i := range 2 * maxWebhooks {
		made.Go(func() {
			counts <- m.as("ann", "POST", hooks, fmt.Sprintf(`{"url": "https://hooks.example.com/%d"}`, i)).StatusCode
		})
	}
	made.Wait()
	close(counts)
	got := map[int]int{}
	for status := range counts {
		got[status]++
	}
	if got[201] != maxWebhooks || got[409] != maxWebhooks {
		t.Errorf("statuses %v", got)
	}
	m.as("bob", "POST", hooks, `{"url": "https://hooks.example.com/"}`).want(t, 201, "")
	// Pages: nothing twice, nothing left out.
	seen, cursor := map[string]bool{}, ""
	for range maxWebhooks {
		a := m.as("ann", "GET", hooks+"?limit=7&cursor="+cursor, "").want(t, 200, "")
		for i := 0; a.at(t, fmt.Sprintf("webhooks.%d", i)) != nil; i++ {
			seen[a.text(t, fmt.Sprintf("webhooks.%d.id", i))] = true
		}
		if cursor, _ = a.at(t, "next_cursor").(string); cursor == "" {
			break
		}
	}
	if len(seen) != maxWebhooks || cursor != "" {
		t.Errorf("%d webhooks in pages, cursor %q", len(seen), cursor)
	}
}

// TestWebhookFromEventToRedelivery follows an event to a real receiver, whose
// answers are checked by the official library of Standard Webhooks.
func TestWebhookFromEventToRedelivery(t *testing.T) {
	m, to := manage(t), newReceiver(t)
	made := m.as("ann", "POST", hooks, `{"url": "`+to.URL+`/in", "events": ["key_created"]}`).want(t, 201, "")
	one, secret := hooks+"/"+made.text(t, "webhook.id"), made.text(t, "webhook.secret")

	key := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci"}`).want(t, 201, "")
	m.as("bob", "POST", "/v1/auth/keys", `{"name": "not ann's"}`).want(t, 201, "")
	first := to.wait(t, "key_created", 1)
	verifyWebhook(t, first, secret, true)
	if !strings.Contains(first.body, key.text(t, "api_key.id")) || strings.Contains(first.body, key.text(t, "api_key.key")) {
		t.Errorf("body %s", first.body)
	}
	m.described.checkEvent(t, first.body)

	list := m.as("ann", "GET", one+"/deliveries?state=delivered", "")
	eventually(t, "the delivery is noted", func() bool {
		list = m.as("ann", "GET", one+"/deliveries?state=delivered", "")
		return list.at(t, "deliveries.0") != nil
	})
	id := list.text(t, "deliveries.0.id")
	if list.at(t, "deliveries.1") != nil || list.at(t, "deliveries.0.last_status") != 200.0 || list.at(t, "deliveries.0.last_response") != "thanks" {
		t.Errorf("deliveries %s", list.body)
	}
	shown := m.as("ann", "GET", one+"/deliveries/"+id, "").want(t, 200, "")
	if !strings.Contains(shown.body, first.body) {
		t.Errorf("the delivery %s does not show what was sent: %s", shown.body, first.body)
	}

	again := m.as("ann", "POST", one+"/deliveries/"+id+"/redeliver", "").want(t, 202, "")
	second := to.wait(t, "key_created", 2)
	if again.text(t, "delivery.id") == id || second.body != first.body || second.header.Get("Webhook-Id") != first.header.Get("Webhook-Id") {
		t.Errorf("redelivered %+v, want the same event as %+v", second, first)
	}

	rotated := m.as("ann", "POST", one+"/rotate-secret", "").want(t, 200, "")
	if rotated.text(t, "webhook.old_secret_expires_at") == "" || rotated.text(t, "webhook.secret") == secret {
		t.Errorf("rotated %s", rotated.body)
	}
	m.as("ann", "POST", one+"/test", "").want(t, 202, "")
	ping := to.wait(t, `"ping"`, 1)
	verifyWebhook(t, ping, secret, true)
	verifyWebhook(t, ping, rotated.text(t, "webhook.secret"), true)
	verifyWebhook(t, second, rotated.text(t, "webhook.secret"), false)
	m.as("ann", "POST", one+"/rotate-secret", "").want(t, 200, "")
	m.as("ann", "POST", one+"/test", "").want(t, 202, "")
	verifyWebhook(t, to.wait(t, `"ping"`, 2), secret, false)
}

// checkEvent compares a body with the description.
func (api *describedAPI) checkEvent(t *testing.T, body string) {
	t.Helper()
	for _, problem := range api.problems(api.Components.Schemas["Event"], decoded(t, body), "event") {
		t.Errorf("%s: %s", problem, body)
	}
}

func verifyWebhook(t *testing.T, got received, secret string, want bool) {
	t.Helper()
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Verify([]byte(got.body), got.header); (err == nil) != want {
		t.Errorf("signature of %s: %v, want it to be right: %t", got.body, err, want)
	}
}

// TestEventsAreNotLostByARestart stops the server while the receiver is down.
func TestEventsAreNotLostByARestart(t *testing.T) {
	to := newReceiver(t)
	to.answer(http.StatusServiceUnavailable)
	var kept Config
	m := manage(t, func(c *Config) { kept = *c })
	made := m.as("ann", "POST", hooks, `{"url": "`+to.URL+`"}`).want(t, 201, "")
	one := hooks + "/" + made.text(t, "webhook.id")
	m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci"}`).want(t, 201, "")
	failed := to.wait(t, "key_created", 1)
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}

	to.answer(http.StatusNoContent)
	again := &managed{startServer(t, kept), m.described}
	later := to.wait(t, "key_created", 2)
	if later.body != failed.body || later.header.Get("Webhook-Id") != failed.header.Get("Webhook-Id") {
		t.Errorf("after the restart %+v, before %+v", later, failed)
	}
	verifyWebhook(t, later, made.text(t, "webhook.secret"), true)
	eventually(t, "the delivery is noted", func() bool {
		return again.as("ann", "GET", one+"/deliveries", "").at(t, "deliveries.0.state") == "delivered"
	})
}

// TestAdministratorsAreToldOfEverything compares who is told of a stranger's trial
// key and of somebody's key.
func TestAdministratorsAreToldOfEverything(t *testing.T) {
	m, all, anns := manage(t), newReceiver(t), newReceiver(t)
	m.as("admin", "POST", hooks, `{"url": "`+all.URL+`", "all": true}`).want(t, 201, "")
	m.as("ann", "POST", hooks, `{"url": "`+anns.URL+`"}`).want(t, 201, "")
	m.call("POST", "/api/v1/onboarding/temp-key", "")
	m.as("bob", "POST", "/v1/auth/keys", `{"name": "bob's"}`).want(t, 201, "")
	m.as("ann", "POST", "/v1/auth/keys", `{"name": "ann's"}`).want(t, 201, "")
	all.wait(t, "trial_issued", 1)
	all.wait(t, "key_created", 2)
	anns.wait(t, "key_created", 1)
	if got := anns.all(""); len(got) != 1 {
		t.Errorf("ann was told of %+v", got)
	}
}

// TestKeysOfAnAdministratorDoNotSeeEverybodysEvents: an API key is no
// administrator, whoever owns it.
func TestKeysOfAnAdministratorDoNotSeeEverybodysEvents(t *testing.T) {
	m := manage(t)
	one := hooks + "/" + m.as("admin", "POST", hooks, `{"url": "https://hooks.example.com", "all": true}`).text(t, "webhook.id")
	key := m.as("admin", "POST", "/v1/auth/keys", `{"name": "k", "scopes": ["webhooks:read", "webhooks:write"]}`).text(t, "api_key.key")
	m.as("bob", "POST", "/v1/auth/keys", `{"name": "bob's"}`).want(t, 201, "")
	delivery := ""
	eventually(t, "the event", func() bool {
		delivery, _ = m.as("admin", "GET", one+"/deliveries", "").at(t, "deliveries.0.id").(string)
		return delivery != ""
	})
	for _, x := range []struct{ method, path, body string }{
		{"GET", one + "/deliveries", ""},
		{"GET", one + "/deliveries/" + delivery, ""},
		{"POST", one + "/deliveries/" + delivery + "/redeliver", ""},
		{"POST", one + "/test", ""},
		{"POST", one + "/rotate-secret", ""},
		{"PATCH", one, `{"url": "https://elsewhere.example.com"}`},
		{"PATCH", one, `{"all": false}`},
	} {
		m.call(x.method, x.path, x.body, "X-API-Key", key).want(t, 403, "insufficient_role")
	}
	m.as("admin", "PATCH", one, `{"all": false}`).want(t, 400, "invalid_request")
	m.call("POST", hooks, `{"url": "https://hooks.example.com", "all": true}`, "X-API-Key", key).want(t, 403, "insufficient_role")
	m.call("DELETE", one, "", "X-API-Key", key).want(t, 204, "")
}

// TestTestsOfAWebhookDoNotPileUp bounds what a receiver that is down can be sent.
func TestTestsOfAWebhookDoNotPileUp(t *testing.T) {
	m, to := manage(t), newReceiver(t)
	to.answer(http.StatusServiceUnavailable)
	one := hooks + "/" + m.as("ann", "POST", hooks, `{"url": "`+to.URL+`"}`).text(t, "webhook.id")
	for range maxUndelivered {
		m.as("ann", "POST", one+"/test", "").want(t, 202, "")
	}
	refused := m.as("ann", "POST", one+"/test", "").want(t, 429, "rate_limit_exceeded")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
