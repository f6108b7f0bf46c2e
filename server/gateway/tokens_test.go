package gateway

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

// withTokens is alice with tokens at her provider.
func withTokens(access, refresh string) *identity.Principal {
	who := alice()
	who.Tokens = func() identity.Tokens { return identity.Tokens{Access: access, Refresh: refresh} }
	return who
}

// valueOf returns the value of a header in a request's head, spelt as it is
// there.
func valueOf(head, name string) string {
	_, rest, _ := strings.Cut(head, "\r\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func TestTokensGoOnlyWhereTheRouteAsks(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		who   *identity.Principal
		want  [2]string
	}{
		{"asked for", []string{"tokens: true"}, withTokens("at-1", "rt-1"), [2]string{"at-1", "rt-1"}},
		{"asked for, and nothing else", []string{"tokens: true", "identity_headers: []"}, withTokens("at-1", "rt-1"), [2]string{"at-1", "rt-1"}},
		{"not asked for", nil, withTokens("at-1", "rt-1"), [2]string{}},
		{"said not to", []string{"tokens: false"}, withTokens("at-1", "rt-1"), [2]string{}},
		{"no refresh token", []string{"tokens: true"}, withTokens("at-1", ""), [2]string{"at-1", ""}},
		{"a caller without tokens", []string{"tokens: true"}, alice(), [2]string{}},
		{"an access key", []string{"tokens: true"}, keyHolder("KEY"), [2]string{}},
		{"nobody", []string{"tokens: true"}, nil, [2]string{}},
	} {
		up := newRawUpstream(t)
		f := newFront(t, frontConfig{policy: route(up.url, c.lines...), who: func(*http.Request) *identity.Principal { return c.who }})
		f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"+
			"Wave-Access-Token: canary\r\nwave_refresh_token: canary\r\nX-Forwarded-Access-Token: canary\r\nWave-Session-ID: canary\r\n\r\n")
		head := up.head(t)
		if got := [2]string{valueOf(head, "Wave-Access-Token"), valueOf(head, "Wave-Refresh-Token")}; got != c.want {
			t.Errorf("%s: got %q", c.name, got)
		}
		if strings.Contains(head, "canary") {
			t.Errorf("%s: a client's own header arrived:\n%s", c.name, head)
		}
	}
}

// TestTokensAreThoseOfTheMoment: the identity headers are kept for some seconds,
// a token that was renewed meanwhile must not be.
func TestTokensAreThoseOfTheMoment(t *testing.T) {
	up := newRawUpstream(t)
	var asked atomic.Int64
	who := alice()
	who.Tokens = func() identity.Tokens {
		return identity.Tokens{Access: "at-" + string('0'+rune(asked.Add(1)))}
	}
	f := newFront(t, frontConfig{Config: Config{Signer: newSigner(t)}, policy: route(up.url, "tokens: true"), who: func(*http.Request) *identity.Principal { return who }})
	var assertions []string
	for _, want := range []string{"at-1", "at-2"} {
		f.get(t, "/")
		head := up.head(t)
		if got := valueOf(head, "Wave-Access-Token"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		assertions = append(assertions, valueOf(head, "Wave-Assertion"))
	}
	if assertions[0] == "" || assertions[0] != assertions[1] {
		t.Error("the identity headers are not kept at all, so this shows nothing")
	}
}

func TestTokensThatFitNoHeaderAreLeftOut(t *testing.T) {
	long := strings.Repeat("canary", maxToken/6+1)
	for _, c := range []struct {
		name, access string
		sent         bool
	}{
		{"as long as can be", long[:maxToken], true},
		{"too long", long, false},
		{"line break", "canary\r\nWave-Email: evil@x", false},
		{"space", "canary canary", false},
		{"NUL", "canary\x00", false},
		{"beyond ASCII", "canary\u00e4", false},
	} {
		var out bytes.Buffer
		g := New(Config{Log: slog.New(slog.NewJSONHandler(&out, nil))})
		fields := g.tokenFields(withTokens(c.access, "rt-1"), &policy.Route{Name: "/a", Tokens: true})
		want := []field{{"Wave-Access-Token", []string{c.access}}, {"Wave-Refresh-Token", []string{"rt-1"}}}
		lines := 0
		if !c.sent {
			want, lines = want[1:], 1
		}
		if diff := cmp.Diff(want, fields, cmp.AllowUnexported(field{})); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		log := out.String()
		if strings.Count(log, "\n") != lines || strings.Contains(log, "canary") || lines > 0 && (!strings.Contains(log, `"WARN"`) || !strings.Contains(log, "Wave-Access-Token")) {
			t.Errorf("%s: logged %s", c.name, log)
		}
	}
}

func TestForwardAuthHandsOutTokensOnlyWhereThePolicyAsks(t *testing.T) {
	handle := func(session, app string) string { return session + "/" + app }
	g := New(Config{SessionHandle: handle})
	for _, c := range []struct {
		name  string
		route *policy.Route
		want  [3]string // access token, refresh token, session
	}{
		{"asked for", &policy.Route{Name: "/a", Identity: policy.Wave, Tokens: true}, [3]string{"at-1", "rt-1", "s-1/route:/a"}},
		{"not asked for", &policy.Route{Name: "/a", Identity: policy.Wave}, [3]string{"", "", "s-1/route:/a"}},
		{"a registered app's", &policy.Route{Name: "/a", Identity: policy.Wave, Tokens: true, App: true, AppKey: "KEY"}, [3]string{"", "", "s-1/KEY"}},
	} {
		who := withTokens("at-1", "rt-1")
		for range 2 { // the second time from the cache
			h := http.Header{}
			if err := g.Identify(h, who, c.route); err != nil {
				t.Fatal(err)
			}
			var got [3]string
			for i, name := range []string{"Wave-Access-Token", "Wave-Refresh-Token", "Wave-Session-ID"} {
				got[i] = strings.Join(h[name], ",")
			}
			if got != c.want {
				t.Errorf("%s: got %q and %v", c.name, got, h)
			}
		}
		h := http.Header{}
		if err := g.Identify(h, nil, c.route); err != nil || len(h) > 0 {
			t.Errorf("%s: nobody: got %v %v", c.name, h, err)
		}
	}
}

// TestRegisteredAppsReadTheSignInAsWithWaved holds the literal names of the
// headers that H2O Wave's Python apps read into q.auth.
func TestRegisteredAppsReadTheSignInAsWithWaved(t *testing.T) {
	up := newRawUpstream(t)
	who := withTokens("at-1", "rt-1")
	f := newFront(t, frontConfig{
		Config: Config{SessionHandle: func(session, app string) string { return session + "/" + app }},
		policy: "upstreams: []", who: func(*http.Request) *identity.Principal { return who },
	})
	if err := f.gateway.Apps().Register(keyHolder("KEY"), registration("/demo", up.url)); err != nil {
		t.Fatal(err)
	}
	f.raw(t, "POST /demo HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\nWave-Client-ID: canary\r\n\r\n{}")
	head := up.head(t)
	for _, want := range []string{
		"Authorization: Basic YXBwLWlkOmFwcC1zZWNyZXQ=", "Content-Type: application/json",
		"Wave-Client-ID: b-1", "Wave-Subject-ID: u-1", "Wave-Username: alice",
		"Wave-Access-Token: at-1", "Wave-Refresh-Token: rt-1", "Wave-Session-ID: s-1/KEY",
	} {
		if strings.Count(head, "\r\n"+want+"\r\n") != 1 {
			t.Errorf("%q is missing:\n%s", want, head)
		}
	}
	if !strings.HasPrefix(head, "POST / HTTP/1.1\r\n") || strings.Contains(head, "canary") {
		t.Errorf("forwarded as\n%s", head)
	}
}

// TestSessionHandlesAreBoundToTheirApp: two upstreams never get the same name of
// a session, also when one takes the other's route over.
func TestSessionHandlesAreBoundToTheirApp(t *testing.T) {
	up := newRawUpstream(t)
	who := alice()
	f := newFront(t, frontConfig{
		Config: Config{SessionHandle: func(session, app string) string { return session + "/" + app }},
		policy: upstream("/plain", up.url), who: func(*http.Request) *identity.Principal { return who },
	})
	apps := f.gateway.Apps()
	seen := func(path string) string {
		f.get(t, path)
		return valueOf(up.head(t), "Wave-Session-ID")
	}
	var got []string
	got = append(got, seen("/plain"))
	for _, key := range []string{"ONE", "TWO"} {
		if err := apps.Register(keyHolder(key), registration("/demo", up.url)); err != nil {
			t.Fatal(err)
		}
		got = append(got, seen("/demo"))
		if err := apps.Unregister(keyHolder(key), "/demo"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"s-1/route:/plain", "s-1/ONE", "s-1/TWO"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSessionHandlesAreNotSentWithoutASessionOrAMaker(t *testing.T) {
	r := &policy.Route{Name: "/", Identity: policy.Wave}
	maker := func(session, app string) string { return "handle" }
	for name, c := range map[string]struct {
		handle func(session, app string) string
		who    *identity.Principal
		route  *policy.Route
	}{
		"no maker":             {nil, alice(), r},
		"a maker says nothing": {func(string, string) string { return "" }, alice(), r},
		"no session":           {maker, keyHolder("KEY"), r},
		"no Wave headers":      {maker, alice(), &policy.Route{Name: "/", Identity: policy.Remote}},
	} {
		cache := identityCache{handle: c.handle}
		fields, err := cache.fields(c.who, c.route)
		if err != nil || slices.ContainsFunc(fields, func(f field) bool { return f.name == "Wave-Session-ID" }) {
			t.Errorf("%s: got %v %v", name, fields, err)
		}
	}
}
