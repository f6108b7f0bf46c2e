package portaltest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tests here are about the harness itself, so that it says what is so.

// scripts are the two ways of everybody: with JavaScript and without.
func scripts() map[string][]way {
	return map[string][]way{"with scripts": nil, "without scripts": {withoutScript}}
}

func TestPeopleSignInAndOut(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		for _, name := range []string{"ada", "grace"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				p := g.signedIn(t, name, "/_portal/profile", ways...)
				p.see(name, "Your roles")
				if paint := p.firstPaint(); paint <= 0 {
					t.Errorf("the page was on the screen after %s", paint)
				}
				p.signOut()
				p.see("You’re signed out")
				p.visit("/_auth/account") // an old link
				p.arrive("/_auth/login")
			})
		}
	}
}

func TestAPersonOnAPhoneInTheDarkWithAKeyboard(t *testing.T) {
	t.Parallel()
	p := newGate(t).person(t, onPhone, inTheDark)
	p.signInByKeyboard("ada", "/_portal/profile")
	p.tabTo("Menu")
	p.keys("\r")
	p.tabTo("Sign out")
	if at := p.focused(); at.Kind != "a" || !at.Ring || !at.Seen {
		t.Errorf("the focus is %+v, want that of a link that shows it", at)
	}
	p.keys("\r")
	p.arrive("/_auth/signed-out")
	p.back()
	p.reload()
	p.arrive("/_auth/login")
}

func TestAFieldThatIsWrongKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.person(t, ways...)
			p.open("/_auth/login")
			p.fill("Username", "ada")
			p.fill("Password", "none of hers")
			p.press("Sign in")
			p.see("The name or the password is wrong")
			p.wantPage(http.StatusUnauthorized)
			if got := p.value("Username"); got != "ada" {
				t.Errorf("the username is %q, want what was typed", got)
			}
		})
	}
}

func TestPeopleFillInFormsAndPressWhatTheyMean(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.person(t, ways...)
			p.open("/public/form")
			p.fill("Name", "Ünal’s “key” <b>")
			p.fill("About", "one\ntwo")
			p.fill("Tier", "Business")
			p.fill("Until", "2030-01-31")
			p.tick("streams:read", true)
			p.tick("streams:write", false)
			if !p.ticked("streams:read") || p.ticked("streams:write") || p.value("Tier") != "b" {
				t.Error("the form does not hold what was filled in")
			}
			p.press("Send")
			p.see("about=one%0D%0Atwo")
			sent, err := url.ParseQuery(p.text("#sent"))
			must(t, err)
			want := url.Values{"name": {"Ünal’s “key” <b>"}, "about": {"one\r\ntwo"}, "tier": {"b"}, "until": {"2030-01-31"}, "scope": {"read"}}
			if diff := cmp.Diff(want, sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			p.pressAt("Player", "Open")
			p.see("open=player")
			p.seeNot("about=")
			if got, want := p.path(), "/public/form?open=player"; got != want {
				t.Errorf("at %s, want %s", got, want)
			}
			if diff := cmp.Diff([]string{"Encoder Open", "Player Open"}, p.texts("li")); diff != "" || !p.has("Send") || p.has("Delete") {
				t.Errorf("the page has other things than it has (-want +got):\n%s", diff)
			}
			p.fill("Name", "")
			p.press("Send")
			p.see("about=&name=&scope=write")
		})
	}
}

func TestTheHarnessSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	p := g.signedIn(t, "ada", "/_portal/profile")
	p.allow("console.warning")
	p.allow("nowhere.invalid")
	p.page.WaitFor(t, `(console.warn("on purpose"), new Image().src = "http://nowhere.invalid/a.png", true)`)
	eventually(t, "the browser complains about both", func() bool {
		said := strings.Join(p.page.Problems(), "\n")
		return strings.Contains(said, "console.warning") && strings.Contains(said, "nowhere.invalid")
	})
}

func TestTheAPIAndTheAppAnswerTheHarness(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]option{"SQLite": nil, "PostgreSQL": {onPostgres}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, options...)
			ada, grace := g.as(t, "ada"), g.as(t, "grace")
			key := ada.newKey(t, fields{"name": "encoder", "scopes": []string{"streams:read"}})
			wantStatuses(t, g.send(t, key.Key, "GET", "/v1/streams", 9), map[int]int{200: 9})
			wantStatuses(t, g.send(t, key.Key, "POST", "/v1/streams", 4), map[int]int{403: 4})
			wantStatuses(t, g.send(t, "", "GET", "/v1/streams", 1), map[int]int{401: 1})
			wantStatuses(t, g.send(t, "", "GET", "/public/", 1), map[int]int{200: 1})
			ada.wantUsage(t, "key="+key.ID, tally{Requests: 13, Refused: 4})
			if got, want := ada.usage(t, "key="+key.ID), (tally{Requests: 13, Refused: 4}); got != want {
				t.Errorf("usage %+v, want %+v", got, want)
			}
			for _, test := range []struct {
				who  caller
				want int
			}{{ada, http.StatusForbidden}, {g.byKey(), http.StatusForbidden}, {grace, http.StatusOK}} {
				if status, text := test.who.try(t, "GET", "/v1/auth/keys?all=true", nil); status != test.want {
					t.Errorf("everybody's keys: %d %s, want %d", status, text, test.want)
				}
			}
			wantStatuses(t, g.send(t, ada.token(t), "GET", "/v1/streams", 1), map[int]int{200: 1})
		})
	}
}

func TestTheReceiverFailsOnDemand(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	ada := g.as(t, "ada")
	good, bad := ada.newWebhook(t, "/good", fields{"description": "alerts"}), ada.newWebhook(t, "/bad", fields{"description": "archive"})
	g.answer("/bad", http.StatusServiceUnavailable)
	for _, id := range []string{good, bad} {
		ada.call(t, "POST", "/v1/auth/webhooks/"+id+"/test", nil, nil)
	}
	eventually(t, "both were sent", func() bool { return len(g.webhooks()) >= 2 })
	for id, want := range map[string]int{good: http.StatusNoContent, bad: http.StatusServiceUnavailable} {
		eventually(t, "the delivery shows how it was answered", func() bool {
			d := ada.deliveries(t, id)
			return len(d) == 1 && d[0].Status == want
		})
	}
}

func TestAGateComesBackAtTheSameAddress(t *testing.T) {
	t.Parallel()
	g := newGate(t, with("--key-brand", "acme"))
	before := g.url
	if key := g.as(t, "ada").newKey(t, fields{"name": "kept"}); !strings.HasPrefix(key.Key, "acme_live_") {
		t.Error("the gate has not taken its argument")
	}
	g.Stop(t)
	g.start(t)
	var answer struct {
		Keys []struct{ Name string } `json:"api_keys"`
	}
	g.as(t, "ada").call(t, "GET", "/v1/auth/keys", nil, &answer)
	if diff := cmp.Diff([]struct{ Name string }{{"kept"}}, answer.Keys); diff != "" || g.url != before {
		t.Errorf("at %s, before at %s; keys (-want +got):\n%s", g.url, before, diff)
	}
}

func TestFillMakesAWorld(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	w := g.fill(t)
	ada, grace := g.as(t, "ada"), g.as(t, "grace")
	var listed struct {
		Keys []struct{ Status, Environment string } `json:"api_keys"`
	}
	grace.call(t, "GET", "/v1/auth/keys?all=true", nil, &listed)
	statuses, environments := map[string]int{}, map[string]int{}
	for _, k := range listed.Keys {
		statuses[k.Status]++
		environments[k.Environment]++
	}
	want := []map[string]int{{"active": 9, "deprecated": 1, "expired": 1, "revoked": 1}, {"live": 8, "test": 2, "dev": 2}}
	if diff := cmp.Diff(want, []map[string]int{statuses, environments}); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	var apps struct {
		Clients []struct{ Status string }
	}
	ada.call(t, "GET", "/v1/auth/clients", nil, &apps)
	if len(apps.Clients) != 3 {
		t.Errorf("%d apps, want 3", len(apps.Clients))
	}
	for span, least := range map[string]int{"minute": 180, "hour": 700, "day": 399} {
		from := map[string]string{"minute": "3h", "hour": "720h", "day": "9600h"}[span]
		if got := len(ada.history(t, w.keys["Video encoder"].ID, span, from)); got < least {
			t.Errorf("%d rows of usage by the %s, want %d at least", got, span, least)
		}
	}
}
