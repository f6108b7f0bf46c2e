package provider

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// idToken returns an ID token of the desk.
func (d *desk) idToken(t *testing.T, change func(*idClaims)) string {
	t.Helper()
	c := idClaims{
		Issuer: deskIssuer, Subject: "sub-ada", Audience: appID, SID: "sid-1",
		IssuedAt: d.clock.Unix(), Expiry: d.clock.Add(10 * time.Minute).Unix(),
	}
	change(&c)
	raw, err := d.keys.sign(t.Context(), "ES256", "JWT", c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (d *desk) plainToken(t *testing.T) string { return d.idToken(t, func(*idClaims) {}) }

const appBye = "https://app.example/bye"

func TestLogoutSaysWhoLeavesAndWhereTheyGo(t *testing.T) {
	d := newDesk(t)
	hint := d.plainToken(t)
	whole := Logout{ClientID: appID, Subject: "sub-ada", SID: "sid-1", Redirect: appBye + "?state=s%26t%3Da"}
	tests := []struct {
		name string
		ask  url.Values
		want Logout
	}{
		{"nothing", url.Values{}, Logout{}},
		{"hint", url.Values{"id_token_hint": {hint}}, Logout{ClientID: appID, Subject: "sub-ada", SID: "sid-1"}},
		{"client", url.Values{"client_id": {appID}}, Logout{ClientID: appID}},
		{"client that is not there", url.Values{"client_id": {"client_other"}}, Logout{}},
		{"state alone", url.Values{"state": {"s"}}, Logout{}},
		{"client and URI", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {appBye}}, Logout{ClientID: appID, Redirect: appBye}},
		{"hint and URI", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {appBye}, "state": {"s&t=a"}}, whole},
		{"all", url.Values{
			"id_token_hint": {hint}, "client_id": {appID}, "post_logout_redirect_uri": {appBye}, "state": {"s&t=a"}, "ui_locales": {"de"}, "logout_hint": {"ada"},
		}, whole},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := d.Logout(t.Context(), params(t, test.ask))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLogoutRedirectsNobodyToAStranger(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.ID = "client_off"; c.DisabledAt = d.clock })
	d.client(func(c *Client) {
		c.ID = "client_other"
		c.PostLogoutRedirectURIs = []string{"https://other.example/bye"}
	})
	hint, access := d.plainToken(t), ""
	access, err := d.keys.sign(t.Context(), "ES256", "at+jwt", accessClaims{
		Issuer: deskIssuer, Subject: "sub-ada", Audience: []string{deskIssuer}, ClientID: appID, IssuedAt: d.clock.Unix(), Expiry: d.clock.Unix() + 60, ID: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		ask  url.Values
	}{
		{"URI without client", url.Values{"post_logout_redirect_uri": {appBye}}},
		{"URI of an unknown client", url.Values{"client_id": {"client_none"}, "post_logout_redirect_uri": {appBye}}},
		{"URI of a disabled client", url.Values{"client_id": {"client_off"}, "post_logout_redirect_uri": {appBye}}},
		{"URI of another client", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {"https://other.example/bye"}}},
		{"URI of a sign-in", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {appURI}}},
		{"URI that is longer", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {appBye + "/"}}},
		{"URI with a query", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {appBye + "?x"}}},
		{"URI in upper case", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {strings.ToUpper(appBye)}}},
		{"state too long", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {appBye}, "state": {strings.Repeat("s", maxState+1)}}},
		{"state with a line feed", url.Values{"client_id": {appID}, "post_logout_redirect_uri": {appBye}, "state": {"a\r\nb"}}},
		{"hint for another client", url.Values{"client_id": {"client_other"}, "id_token_hint": {hint}}},
		{"hint for another client, with its URI", url.Values{
			"client_id": {"client_other"}, "id_token_hint": {hint}, "post_logout_redirect_uri": {"https://other.example/bye"},
		}},
		{"hint of another issuer", url.Values{"id_token_hint": {d.idToken(t, func(c *idClaims) { c.Issuer = "https://evil.example" })}}},
		{"hint that is broken", url.Values{"id_token_hint": {hint[:len(hint)-8] + "AAAAAAAA"}}},
		{"hint that is no token", url.Values{"id_token_hint": {"x"}}},
		{"access token as a hint", url.Values{"id_token_hint": {access}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := d.Logout(t.Context(), params(t, test.ask))
			onPage(t, refused(t, err, InvalidRequest))
			if got != nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestLogoutTakesAHintThatHasExpired(t *testing.T) {
	d := newDesk(t)
	hint := d.plainToken(t)
	d.clock = d.clock.Add(24 * time.Hour)
	got, err := d.Logout(t.Context(), params(t, url.Values{"id_token_hint": {hint}}))
	if err != nil || got.Subject != "sub-ada" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLogoutOfAClientThatIsGoneStillSignsOut(t *testing.T) {
	d := newDesk(t)
	hint := d.plainToken(t)
	d.store.removeClient(appID, d.clock)
	d.apps.forget()
	got, err := d.Logout(t.Context(), params(t, url.Values{"id_token_hint": {hint}}))
	if err != nil || got.Subject != "sub-ada" || got.ClientID != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLogoutWithAFailingStoreConcludesNothing(t *testing.T) {
	d := newDesk(t)
	d.fails("Client")
	_, err := d.Logout(t.Context(), params(t, url.Values{"client_id": {appID}, "post_logout_redirect_uri": {appBye}}))
	onPage(t, refused(t, err, Unavailable))
}

func TestHintNamesThePersonWhoIsMeant(t *testing.T) {
	d := newDesk(t)
	hint := d.plainToken(t)
	d.clock = d.clock.Add(24 * time.Hour)
	if r := d.request(t, with("id_token_hint", hint)); r.IDTokenHint != "sub-ada" {
		t.Errorf("got %q", r.IDTokenHint)
	}
	for _, bad := range []string{"x", hint + "x", hint[:len(hint)-1], d.idToken(t, func(c *idClaims) { c.Issuer = "https://evil.example" })} {
		_, err := d.Request(t.Context(), params(t, with("id_token_hint", bad)))
		answered(t, refused(t, err, InvalidRequest).Redirect)
	}
}

// A key that cannot be looked up says nothing about the token.
func TestHintThatCannotBeCheckedNowIsUnavailable(t *testing.T) {
	d := newDesk(t)
	hint := d.plainToken(t)
	other := newDesk(t)
	other.store.fail = func(method string) error {
		if method == "SigningKeys" {
			return errors.New("no store")
		}
		return nil
	}
	for _, ask := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := other.Request(ctx, params(t, with("id_token_hint", hint)))
			return err
		},
		func(ctx context.Context) error {
			_, err := other.Logout(ctx, params(t, url.Values{"id_token_hint": {hint}}))
			return err
		},
	} {
		refused(t, ask(t.Context()), Unavailable)
	}
}
