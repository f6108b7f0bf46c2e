package provider

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestGrantableIsWhatThePersonHolds(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, with("scope", "openid streams:read offline_access email"))
	tests := []struct {
		name   string
		who    *Person
		change func()
		want   []string
	}{
		{"all", d.people["usr_ada"], func() {}, []string{"openid", "streams:read", "offline_access", "email"}},
		{"who holds nothing", d.people["usr_bob"], func() {}, []string{"openid", "offline_access", "email"}},
		{"of a policy that lost it", d.people["usr_ada"], func() { d.rules.Scopes = nil }, []string{"openid", "offline_access", "email"}},
		{"of a client that cannot refresh", d.people["usr_ada"], func() {
			r.Client = &Client{Scopes: []string{"streams:read"}, GrantTypes: []string{GrantCode}}
		}, []string{"openid", "email"}},
	}
	for _, test := range tests {
		test.change()
		if diff := cmp.Diff(test.want, d.Grantable(r, test.who)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestConsentIsAskedForUnlessItWasGivenAndTheAppCanBeTold(t *testing.T) {
	consent := func(change func(*Consent)) *Consent {
		c := &Consent{UserID: "usr_ada", ClientID: appID, Scopes: []string{"openid", "streams:read", "email"}, Resources: []string{deskIssuer}}
		change(c)
		return c
	}
	all := consent(func(*Consent) {})
	same := func(*Client) {}
	loopback := func(c *Client) { c.RedirectURIs = []string{"http://127.0.0.1/cb"} }
	tests := []struct {
		name   string
		given  *Consent
		client func(*Client)
		ask    []string
		want   bool
	}{
		{"never given", nil, same, nil, false},
		{"given", all, same, nil, true},
		{"given, confidential", all, func(c *Client) { c.Type = Confidential }, nil, true},
		{"given, and asked for again", all, same, []string{"prompt", "consent"}, false},
		{"of somebody else", consent(func(c *Consent) { c.UserID = "usr_bob" }), same, nil, false},
		{"to another client", consent(func(c *Consent) { c.ClientID = "client_other" }), same, nil, false},
		{"to less", consent(func(c *Consent) { c.Scopes = []string{"openid"} }), same, nil, false},
		{"for another audience", consent(func(c *Consent) { c.Resources = []string{deskIssuer + "/api"} }), same, nil, false},
		{"for another audience than is asked", all, same, []string{"resource", deskIssuer + "/api"}, false},
		{"for this audience", consent(func(c *Consent) { c.Resources = []string{deskIssuer + "/api"} }), same, []string{"resource", deskIssuer + "/api"}, true},
		{"public at a loopback address", all, loopback, []string{"redirect_uri", "http://127.0.0.1:4000/cb"}, false},
		{"public at a scheme of its own", all, func(c *Client) { c.RedirectURIs = []string{"com.example.app:/cb"} }, []string{"redirect_uri", "com.example.app:/cb"}, false},
		{"confidential at a loopback address", all, func(c *Client) { loopback(c); c.Type = Confidential }, []string{"redirect_uri", "http://127.0.0.1:4000/cb"}, true},
		{"first party", nil, func(c *Client) { c.FirstParty = true }, nil, true},
		{"first party that asks for it", nil, func(c *Client) { c.FirstParty = true }, []string{"prompt", "consent"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			d.client(test.client)
			if test.given != nil {
				d.store.consents[[2]string{test.given.UserID, test.given.ClientID}] = *test.given
			}
			got, err := d.Consented(t.Context(), d.request(t, with(test.ask...)), d.people["usr_ada"])
			if err != nil || got != test.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestConsentIsAskedForWhenItCannotBeLookedUp(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, good())
	d.fails("Consent")
	got, err := d.Consented(t.Context(), r, d.people["usr_ada"])
	refused(t, err, Unavailable)
	if got {
		t.Error("consented")
	}
}

func TestApproveIssuesACodeThatIsBound(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, with("nonce", "n", "resource", deskIssuer+"/api", "scope", "openid streams:read streams:write"))
	a := d.approval("ada")
	a.Remember = true
	a.Scopes = []string{"openid", "streams:read", "billing:write"} // not all, and one that nobody asked for
	to, err := d.Approve(t.Context(), r, a)
	if err != nil {
		t.Fatal(err)
	}
	answer := answered(t, to)
	raw := answer.Get("code")
	if len(answer) != 3 || answer.Get("state") != "s&t=a t?e#" || !strings.HasPrefix(raw, "wgac_") || len(raw) != 48 {
		t.Errorf("got %v", answer)
	}
	ends := d.clock.Add(60 * time.Second)
	grant, code := only(t, d.store.grants), only(t, d.store.codes)
	wantCode := Code{
		Hash: HashOf(raw), GrantID: grant.ID, ClientID: appID, RedirectURI: appURI, RedirectGiven: true, Challenge: appChallenge, ExpiresAt: ends,
	}
	wantGrant := Grant{
		ID: grant.ID, ClientID: appID, UserID: "usr_ada", Subject: "sub-ada", Scopes: []string{"openid", "streams:read"},
		Resources: []string{deskIssuer + "/api"}, Nonce: "n", SID: "sid-1", AuthTime: d.clock.Add(-time.Minute), CreatedAt: d.clock, ExpiresAt: ends,
	}
	wantConsent := Consent{
		UserID: "usr_ada", ClientID: appID, Scopes: wantGrant.Scopes, Resources: wantGrant.Resources, GivenAt: d.clock,
	}
	for _, diff := range []string{cmp.Diff(wantCode, code), cmp.Diff(wantGrant, grant), cmp.Diff(wantConsent, only(t, d.store.consents))} {
		if diff != "" {
			t.Error(diff)
		}
	}
	if !strings.HasPrefix(grant.ID, "grt_") || len(grant.ID) < 30 {
		t.Errorf("the grant is called %q", grant.ID)
	}
}

// A verifier is asked for exactly where a challenge was sent, which the token
// endpoint learns from the code.
func TestRFC9700_4_8_2_TheCodeRemembersWhetherThereWasAChallenge(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.Type, c.PKCEOptional = Confidential, true })
	if _, err := d.Approve(t.Context(), d.request(t, with("code_challenge", "", "code_challenge_method", "")), d.approval("ada")); err != nil {
		t.Fatal(err)
	}
	if got := only(t, d.store.codes).Challenge; got != "" {
		t.Errorf("got %q", got)
	}
}

func TestApproveRemembersOnlyWhenItIsToldTo(t *testing.T) {
	d := newDesk(t)
	if _, err := d.Approve(t.Context(), d.request(t, good()), d.approval("ada")); err != nil {
		t.Fatal(err)
	}
	if len(d.store.consents) != 0 {
		t.Error("it is remembered")
	}
}

// What is remembered lets the same request through, and no other.
func TestRememberedConsentIsGoodForTheSame(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, good())
	a := d.approval("ada")
	a.Remember = true
	if _, err := d.Approve(t.Context(), r, a); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		ask  *Request
		want bool
	}{
		{r, true},
		{d.request(t, with("scope", "openid streams:write")), false},
		{d.request(t, with("resource", deskIssuer+"/api")), false},
	} {
		if got, err := d.Consented(t.Context(), test.ask, a.Who); err != nil || got != test.want {
			t.Errorf("%v for %v: %v, %v", test.ask.Scopes, test.ask.Resources, got, err)
		}
	}
}

func TestApproveLooksAgain(t *testing.T) {
	tests := []struct {
		name   string
		change func(*desk)
		want   string
		page   bool
	}{
		{"person gone", func(d *desk) { delete(d.people, "usr_ada") }, AccessDenied, false},
		{"person who holds nothing any more", func(d *desk) { d.addPerson("ada") }, AccessDenied, false},
		{"scope that the policy lost", func(d *desk) { d.rules.Scopes = nil }, AccessDenied, false},
		{"scope that the client lost", func(d *desk) { d.client(func(c *Client) { c.Scopes = nil }) }, AccessDenied, false},
		{"client disabled", func(d *desk) { d.client(func(c *Client) { c.DisabledAt = d.clock }) }, InvalidRequest, true},
		{"client gone", func(d *desk) { d.store.removeClient(appID, d.clock); d.apps.forget() }, InvalidRequest, true},
		{"client without the URI", func(d *desk) { d.client(func(c *Client) { c.RedirectURIs = nil }) }, InvalidRequest, true},
		{"client without codes", func(d *desk) { d.client(func(c *Client) { c.GrantTypes = nil }) }, InvalidRequest, true},
		{"person gone in the store", func(d *desk) { d.store.setPerson("usr_ada", true) }, AccessDenied, true},
		{"failing store", func(d *desk) { d.fails("Authorize") }, Unavailable, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			r, a := d.request(t, with("scope", "streams:read")), d.approval("ada")
			test.change(d)
			to, err := d.Approve(t.Context(), r, a)
			e := refused(t, err, test.want)
			if test.page {
				onPage(t, e)
			} else if got := answered(t, e.Redirect); got.Get("error") != test.want {
				t.Errorf("the client gets %v", got)
			}
			if to != "" || len(d.store.codes)+len(d.store.grants) != 0 {
				t.Error("there is a code, or a grant")
			}
		})
	}
}

func TestApproveOfNothingIsARefusal(t *testing.T) {
	d := newDesk(t)
	a := d.approval("ada")
	a.Scopes = nil
	_, err := d.Approve(t.Context(), d.request(t, good()), a)
	answered(t, refused(t, err, AccessDenied).Redirect)
}

func TestApproveWithoutKnowingThePersonConcludesNothing(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, good())
	d.cfg.Person = func(context.Context, string) (*Person, error) { return nil, errors.New("no directory") }
	_, err := d.Approve(t.Context(), r, d.approval("ada"))
	onPage(t, refused(t, err, Unavailable))
}

func TestNobodyElseAnswersForThePersonOfTheHint(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, good())
	r.IDTokenHint = "sub-bob"
	_, err := d.Approve(t.Context(), r, d.approval("ada"))
	answered(t, refused(t, err, LoginRequired).Redirect)
	if _, err := d.Approve(t.Context(), r, d.approval("bob")); err != nil {
		t.Error(err)
	}
}

func TestCodesAreNeverTheSame(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, good())
	for range 100 {
		if _, err := d.Approve(t.Context(), r, d.approval("ada")); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.store.codes) != 100 || len(d.store.grants) != 100 {
		t.Errorf("%d codes, %d grants", len(d.store.codes), len(d.store.grants))
	}
}

func TestApprovedScopesAreInTheOrderThatTheyWereAskedFor(t *testing.T) {
	d := newDesk(t)
	a := d.approval("ada")
	slices.Reverse(a.Scopes)
	if _, err := d.Approve(t.Context(), d.request(t, with("scope", "streams:write openid streams:read")), a); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"streams:write", "openid", "streams:read"}, only(t, d.store.grants).Scopes, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
