package portal

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// The manual and the pages teach the same.
func TestSnippetsOfWebhooksStandInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snippets() {
		if !strings.Contains(string(manual), s.Code) {
			t.Errorf("docs/webhooks.md has other code for %s", s.Name)
		}
	}
}

func TestAWebhookIsNamedByItsDescriptionOrHost(t *testing.T) {
	for _, x := range []struct {
		hook Webhook
		want string
	}{
		{Webhook{ID: "whk_1", URL: "https://h.example.com:8443/secret", Description: "Pager"}, "Pager"},
		{Webhook{ID: "whk_1", URL: "https://h.example.com:8443/secret", Description: "\u202e \u200b"}, "h.example.com:8443"},
		{Webhook{ID: "whk_1", URL: "::"}, "whk_1"},
		{Webhook{Description: strings.Repeat("é", 100)}, strings.Repeat("é", 79) + "…"},
	} {
		if got := x.hook.Name(); got != x.want {
			t.Errorf("%+v is named %q, want %q", x.hook, got, x.want)
		}
	}
}

func TestAWebhookFailsWhileItsLastDeliveryDid(t *testing.T) {
	for _, x := range []struct {
		hook Webhook
		want string
	}{
		{Webhook{}, "good On"},
		{Webhook{Last: &Delivery{State: "pending"}}, "good On"},
		{Webhook{Last: &Delivery{State: "delivered", Attempts: 3}}, "good On"},
		{Webhook{Last: &Delivery{State: "pending", Attempts: 1}}, "bad Failing"},
		{Webhook{Last: &Delivery{State: "dead", Attempts: 9}}, "bad Failing"},
		{Webhook{Disabled: true, Last: &Delivery{State: "dead"}}, "off Off"},
	} {
		if got := x.hook.Pill() + " " + x.hook.StateName(); got != x.want {
			t.Errorf("%+v is %q, want %q", x.hook, got, x.want)
		}
	}
}

// What is copied from the page is still the document that was sent.
func TestAPayloadIsShownWithNothingHidden(t *testing.T) {
	sent := `{"name":"a` + "\u202eb\u200b\U000e0041" + `","of":"c\n"}`
	got := DeliveryPage{Delivery: Delivery{Payload: json.RawMessage(sent)}}.Payload()
	want := "{\n  \"name\": \"a\\u202eb\\u200b\\udb40\\udc41\",\n  \"of\": \"c\\n\"\n}"
	if got != want {
		t.Errorf("shown as %q, want %q", got, want)
	}
	var before, after any
	if json.Unmarshal([]byte(sent), &before) != nil || json.Unmarshal([]byte(got), &after) != nil {
		t.Fatal("no JSON")
	}
	if before.(map[string]any)["name"] != after.(map[string]any)["name"] {
		t.Errorf("it says %v, want %v", after, before)
	}
	if got := (DeliveryPage{Delivery: Delivery{Payload: json.RawMessage("no\u202e JSON")}}).Payload(); got != `no\u202e JSON` {
		t.Errorf("shown as %q", got)
	}
}

func TestAPageFollowsADeliveryUntilItEnds(t *testing.T) {
	for want, d := range map[string]Delivery{
		"soon": {State: "pending"}, "true": {State: "pending", Attempts: 2}, "": {State: "dead", Attempts: 9},
	} {
		if got := (DeliveryPage{Delivery: d}).Live(); got != want {
			t.Errorf("%+v is followed %q, want %q", d, got, want)
		}
	}
}

func TestTheHeadersOfADeliveryHaveNoSignature(t *testing.T) {
	v := DeliveryPage{Hook: Webhook{URL: "https://h.example.com/"}, Delivery: Delivery{EventID: "evt_1"}}
	if got := v.Headers(); !strings.Contains(got, "of each attempt") || !strings.HasSuffix(got, "webhook-signature: v1,…") {
		t.Errorf("before an attempt: %s", got)
	}
	v.Delivery.LastAt = time.Unix(1795766400, 0)
	if got := v.Headers(); !strings.Contains(got, "webhook-timestamp: 1795766400\n") {
		t.Errorf("after an attempt: %s", got)
	}
}
