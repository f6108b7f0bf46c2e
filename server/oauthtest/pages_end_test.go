package oauthtest

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"wavegate/server/portal/browsertest"
)

// refresh uses a refresh token.
func (a *pageApp) refresh(t *testing.T, token string) (*oauth2.Token, error) {
	t.Helper()
	return a.config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token}).Token()
}

// isRefused reports whether an error is OAuth's with a code.
func isRefused(err error, code string) bool {
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	return ok && e.ErrorCode == code
}

func contains(text, piece string) bool { return strings.Contains(text, piece) }

// field is what stands in an input.
func (tab *pageTab) field(selector string) string {
	tab.t.Helper()
	return browsertest.Eval[string](tab.t, tab.Page, `document.querySelector(`+quote(selector)+`).value`)
}

// clear empties an input.
func (tab *pageTab) clear(selector string) {
	tab.t.Helper()
	browsertest.Eval[bool](tab.t, tab.Page, `(document.querySelector(`+quote(selector)+`).value = "", true)`)
}

func withdrawn(t *testing.T, s *pageStage) {
	a := s.webApp(t, "To be withdrawn", "openid", "profile", "streams:read", "offline_access")
	other := s.webApp(t, "To be kept", "openid", "profile", "streams:read", "offline_access")
	tab := s.newcomer(t).open(s.url + "/_portal/connected")
	tab.signIn("boris")
	tab.wantPage("Connected apps")
	let := func(a *pageApp) (access, refresh string) {
		t.Helper()
		q := a.begin()
		tab.Navigate(t, q.address)
		tab.wantConsent(a)
		tab.tap("[name=remember]")
		tab.tap(allow)
		return tab.wantFor(q, "boris")
	}
	access, first := let(a)
	keptAccess, keptRefresh := let(other)
	renewed, err := a.refresh(t, first)
	must(t, err)

	tab.Navigate(t, s.url+"/_portal/connected")
	tab.wantPage("Connected apps")
	row := `tr:has([href*="/` + a.config.ClientID + `/"])`
	if text := tab.text(row); !contains(text, a.name) || !contains(text, "streams:read") {
		t.Errorf("the row of the app says %q", text)
	}
	tab.tap(row + " a")
	tab.wantPage("Withdraw the access of To be withdrawn?")
	tab.tap("main button.danger")
	tab.wantPage("Connected apps")
	if tab.has(row) {
		t.Error("the app is still listed")
	}
	tab.wantText("To be kept")
	for _, token := range []string{access, renewed.AccessToken} {
		if s.opens(t, token) {
			t.Error("an access token still opens the API")
		}
	}
	if _, err := a.refresh(t, renewed.RefreshToken); !isRefused(err, "invalid_grant") {
		t.Errorf("the refresh token answers %v", err)
	}
	if !s.opens(t, keptAccess) {
		t.Error("the other app's token opens nothing any more")
	}
	_, err = other.refresh(t, keptRefresh)
	must(t, err)
	q := a.begin()
	tab.Navigate(t, q.address)
	tab.wantConsent(a) // forgotten, too
}

// bye is where an app sends the browser of somebody who signs out.
func (a *pageApp) bye(hint string) string {
	q := url.Values{"post_logout_redirect_uri": {a.origin + "/bye"}, "state": {"so-long"}, "client_id": {a.config.ClientID}}
	if hint != "" {
		q.Set("id_token_hint", hint)
	}
	return a.origin + "/?to=" + url.QueryEscape(a.url+"/oauth/logout?"+q.Encode())
}

// wantBye waits until the browser is back at the app, signed out.
func (tab *pageTab) wantBye(a *pageApp) {
	tab.t.Helper()
	tab.WaitFor(tab.t, `document.readyState === "complete" && location.href === `+quote(a.origin+"/bye?state=so-long"))
	tab.Navigate(tab.t, a.url+"/_portal/profile")
	tab.wantPage("Sign in")
}

func logoutByApp(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Signs out", "openid", "profile")
	q := a.begin()
	u := s.newcomer(t)
	tab := u.open(q.address)
	tab.signIn("ada")
	tab.wantConsent(a)
	tab.tap(allow)
	hint, _ := q.redeem(t, tab.arrived(q).Get("code")).Extra("id_token").(string)
	tab.Navigate(t, a.bye(hint))
	tab.tap("#go")
	tab.wantBye(a)

	again := s.newcomer(t).open(s.url + "/_portal/profile") // the hint is of a session that has ended
	again.signIn("ada")
	again.wantPage("Profile")
	again.Navigate(t, a.bye(hint))
	again.tap("#go")
	again.wantPage("Sign out?")
}

func logoutAsked(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Asks to sign out", "openid", "profile")
	tab := s.newcomer(t).open(s.url + "/_portal/profile")
	tab.signIn("ada")
	tab.wantPage("Profile")
	tab.Navigate(t, a.bye(""))
	tab.tap("#go")
	tab.wantPage("Sign out?")
	tab.tap("main a.quiet") // stay
	tab.wantPage("Overview")
	tab.Navigate(t, s.url+"/_portal/profile")
	tab.wantPage("Profile")
	tab.Navigate(t, a.bye(""))
	tab.tap("#go")
	tab.wantPage("Sign out?")
	tab.tap("main form button")
	tab.wantBye(a)
}

func wrongRedirect(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Wrongly asked", "openid", "profile")
	tab := s.newcomer(t).open(s.url + "/_auth/login")
	for _, uri := range []string{a.origin + "/callback/", "https://evil.example/callback", "javascript:alert(1)"} {
		tab.wrongly(a, uri)
	}
	tab.Navigate(t, s.url+"/_portal/profile")
	tab.signIn("ada")
	tab.wantPage("Profile")
	tab.wrongly(a, "https://evil.example/callback")
}

// wrongly follows the app's link to a request with a redirect URI that it does not have.
func (tab *pageTab) wrongly(a *pageApp, uri string) {
	tab.t.Helper()
	tab.Navigate(tab.t, a.begin(oauth2.SetAuthURLParam("redirect_uri", uri)).link())
	tab.tap("#go")
	tab.wantPage("This app’s request is wrong")
	tab.wantText("Asked by Wrongly asked", "not one of those that this app has registered", "invalid_request")
	links := browsertest.Eval[[]string](tab.t, tab.Page, `[...document.querySelectorAll("a, form, meta[http-equiv], iframe")].map(e => e.href ?? e.action ?? e.outerHTML)`)
	for _, link := range links {
		if !strings.HasPrefix(link, a.url+"/") {
			tab.t.Errorf("%s: the page leads to %s", uri, link)
		}
	}
}
