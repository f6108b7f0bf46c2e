package server

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"wavegate/server/session"
)

// TestLoginAndLogoutNeverLeaveTheOrigin sends every hostile address, raw and
// escaped, through each way in which an address could come back.
func TestLoginAndLogoutNeverLeaveTheOrigin(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	idp.Login("1001")
	ts := guarded(t, whoApp, withUsers(t), withProvider(t, idp))
	provider, _, _ := strings.Cut(strings.TrimPrefix(idp.URL, "http://"), ":")
	guest, begun, ann := newBrowser(t, ts.URL), newBrowser(t, ts.URL), newBrowser(t, ts.URL).signInLocal("ann")
	page := func(b *browser, method, path string, form url.Values, headers ...string) answer {
		a := b.send(method, path, form, headers...)
		staysAt(t, path, &a, "", provider)
		return a
	}
	home := func(what, target, next string) {
		t.Helper()
		if target != "/" && (originOf(target) != "" || target != next || !strings.HasPrefix(target, "/")) {
			t.Errorf("%s: next %q leads to %q", what, next, target)
		}
		if decoded, err := url.PathUnescape(target); err == nil && originOf(decoded) != "" {
			t.Errorf("%s: next %q leads to %q, decoded %q", what, next, target, decoded)
		}
	}
	callbacks := 0
	for i, evil := range hostileTargets(t) { // raw and escaped in turn
		for _, next := range []string{evil, "/ok" + evil} {
			query := url.Values{"next": {next}, "rd": {next}, "redirect": {next}, "post_logout_redirect_uri": {next}, "returnTo": {next}}.Encode()
			home("login, signed in", page(ann, "GET", "/_auth/login?"+query, nil).Header.Get("Location"), next)
			if next != evil {
				continue
			}
			page(guest, "GET", "/_auth/login?"+query, nil)
			page(guest, "GET", "/_auth/login?next="+safeQuery(next), nil)
			if i%6 == 0 { // these look at no such parameter
				page(guest, "POST", "/_auth/login", url.Values{"username": {""}, "password": {""}, "next": {next}})
				page(guest, "GET", "/_auth/logout?"+query, nil)
				page(guest, "GET", "/_auth/signed-out?"+query, nil)
				page(guest, "GET", "/_auth/callback?state=x&"+query, nil)
				page(ann, "GET", "/_auth/account?"+query, nil)
				page(ann, "GET", "/_portal/sessions?"+query+"&cursor="+url.QueryEscape(next), nil)
			}
			authorize := page(begun, "GET", "/_auth/init?"+query, nil).Header.Get("Location")
			if originOf(authorize) != provider || strings.Contains(authorize, "evil") {
				t.Errorf("init with next %q: to %q", next, authorize)
			}
			back := begun.send("GET", authorize, nil).Header.Get("Location")
			home("callback", page(begun, "GET", back+"&"+query, nil).Header.Get("Location"), next)
			home("callback again", page(begun, "GET", back+"&"+query, nil).Header.Get("Location"), next)
			callbacks++
		}
	}
	if callbacks < 150 {
		t.Errorf("only %d logins came back", callbacks)
	}
	for i, evil := range corpus(t, "hostile-targets.txt") {
		if i%8 == 0 { // the form with a right password: bounded, each is a session
			home("form", newBrowser(t, ts.URL).signIn("ann", "ann-password", evil).Header.Get("Location"), evil)
		}
	}
}

// safeQuery escapes only what cannot stand in a request line.
func safeQuery(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '&' || c == '+' || c == ';' || c == '%' {
			b.WriteString(url.QueryEscape(s[i : i+1]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// TestSealedAttemptsDoNotCarryAHostileTargetEither is for cookies that an older
// version, or one with other settings, sealed.
func TestSealedAttemptsDoNotCarryAHostileTargetEither(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withUsers(t), withProvider(t, idp))
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	for _, evil := range corpus(t, "hostile-targets.txt") {
		for _, b := range []*browser{ann, newBrowser(t, ts.URL)} {
			attempt := session.NewAttempt(mainProvider, "http://"+ts.cfg.Listen+"/_auth/callback", evil, time.Now().Add(-time.Hour))
			sealed, err := ts.signIn.sessions.SealAttempt(attempt)
			must(t, err)
			a := ts.do("GET", "/_auth/callback?code=x&state="+attempt.State, "", "Accept", "text/html", "Cookie", strings.TrimPrefix(b.cookies()+"; ", "; ")+attemptPair(attempt.State, sealed))
			staysAt(t, evil, &a, "")
			if a.StatusCode != 302 {
				t.Errorf("%q: %d", evil, a.StatusCode)
			}
		}
	}
}
