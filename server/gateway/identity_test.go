package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

// alice is a principal with every field set.
func alice() *identity.Principal {
	return &identity.Principal{
		Method: identity.MethodSession, Subject: "u-1", Username: "alice", Email: "alice@example.com",
		Groups: []string{"eng", "ops, night", "50%"}, Roles: []string{"viewer"}, Scopes: []string{"streams:read", "openid"},
		KeyID: "key_1", OAuthClientID: "c-1", SessionID: "s-1", ClientID: "b-1",
	}
}

func TestIdentityHeadersAreSpeltAsDocumented(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{
		Config: Config{SessionHandle: func(session, app string) string { return "handle of " + session + " for " + app }},
		policy: route(up.url, "identity_headers: [wave, remote, forwarded]"), who: func(*http.Request) *identity.Principal { return alice() },
	})
	f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
	head := up.head(t)
	const groups = "eng,ops%2C night,50%25"
	for _, want := range []string{
		"Wave-Subject-ID: u-1", "Wave-Username: alice", "Wave-Email: alice@example.com", "Wave-Groups: " + groups,
		"Wave-Scopes: streams:read openid", "Wave-Auth-Method: session", "Wave-Key-ID: key_1", "Wave-OAuth-Client-ID: c-1",
		"Wave-Session-ID: handle of s-1 for route:/", "Wave-Client-ID: b-1",
		"Remote-User: u-1", "Remote-Name: alice", "Remote-Email: alice@example.com", "Remote-Groups: " + groups,
		"X-Forwarded-User: u-1", "X-Forwarded-Preferred-Username: alice", "X-Forwarded-Email: alice@example.com", "X-Forwarded-Groups: " + groups,
		"X-Auth-Request-User: u-1", "X-Auth-Request-Preferred-Username: alice", "X-Auth-Request-Email: alice@example.com", "X-Auth-Request-Groups: " + groups,
	} {
		if !strings.Contains(head, "\r\n"+want+"\r\n") {
			t.Errorf("%q is missing:\n%s", want, head)
		}
	}
}

func TestIdentityFamiliesAreSentOnlyWhereAsked(t *testing.T) {
	for _, c := range []struct {
		families policy.Families
		want     []string
	}{
		{0, nil},
		{policy.Wave, []string{"Wave-Auth-Method", "Wave-Subject-ID"}},
		{policy.Remote, []string{"Remote-User"}},
		{policy.Forwarded, []string{"X-Auth-Request-User", "X-Forwarded-User"}},
	} {
		h := http.Header{}
		setIdentity(h, &identity.Principal{Method: identity.MethodAccessKey, Subject: "K"}, c.families)
		var got []string
		for name := range h {
			got = append(got, name)
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.families, diff)
		}
	}
	h := http.Header{}
	if setIdentity(h, nil, policy.Wave); len(h) != 0 {
		t.Errorf("nobody: %v", h)
	}
}

func TestIdentityValuesCannotBreakOutOfTheirHeader(t *testing.T) {
	h := http.Header{}
	setIdentity(h, &identity.Principal{
		Method: identity.MethodSession, Subject: "a\r\nWave-Email: evil@x\x00\x7f", Username: " J\u00f6rg \u0085", Email: "\n\t",
		Groups: []string{"a,admin", "", "\x01", "b\xff"},
	}, policy.Wave)
	want := http.Header{
		"Wave-Subject-ID": {"aWave-Email: evil@x"}, "Wave-Username": {"J\u00f6rg"}, "Wave-Groups": {"a%2Cadmin,b"}, "Wave-Auth-Method": {"session"},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
}

// newSigner makes a Signer with a fresh key.
func newSigner(t testing.TB) *Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner("https://gate.example.com", key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verifyAssertion checks an assertion as an app does, with nothing but the JWKS.
func verifyAssertion(t testing.TB, jwks []byte, token string) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if got := parsed.Headers[0].ExtraHeaders[jose.HeaderType]; got != "wave-assertion+jwt" {
		t.Errorf("typ %v", got)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	keys := set.Key(parsed.Headers[0].KeyID)
	if len(keys) != 1 || !keys[0].IsPublic() || keys[0].Use != "sig" || keys[0].Algorithm != "ES256" {
		t.Fatalf("keys for %q: %v", parsed.Headers[0].KeyID, keys)
	}
	claims := map[string]any{}
	if err := parsed.Claims(keys[0], &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestAssertionIsVerifiedThroughTheJWKS(t *testing.T) {
	signer, up := newSigner(t), newRawUpstream(t)
	f := newFront(t, frontConfig{
		Config: Config{Signer: signer}, policy: upstream("app.test/api", up.url),
		who: func(*http.Request) *identity.Principal { return alice() },
	})
	before := time.Now().Unix()
	f.get(t, "/api")
	_, rest, _ := strings.Cut(up.head(t), "\r\nWave-Assertion: ")
	token, _, _ := strings.Cut(rest, "\r\n")
	claims := verifyAssertion(t, signer.JWKS(), token)
	iat, exp := int64(claims["iat"].(float64)), int64(claims["exp"].(float64))
	if iat < before || iat > time.Now().Unix() || exp != iat+60 || claims["jti"] == "" {
		t.Errorf("iat %d exp %d jti %v", iat, exp, claims["jti"])
	}
	delete(claims, "iat")
	delete(claims, "exp")
	delete(claims, "jti")
	want := map[string]any{
		"iss": "https://gate.example.com", "aud": "app.test/api", "sub": "u-1", "username": "alice", "email": "alice@example.com",
		"groups": []any{"eng", "ops, night", "50%"}, "scopes": []any{"streams:read", "openid"}, "auth_method": "session", "key_id": "key_1",
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(string(signer.JWKS()), `"d"`) {
		t.Error("the JWKS holds the private key")
	}
}

func TestAssertionsAreNotForAnonymousRequestsOrOtherFamilies(t *testing.T) {
	cache := identityCache{signer: newSigner(t)}
	for _, c := range []struct {
		who      *identity.Principal
		families policy.Families
	}{{nil, policy.Wave}, {alice(), 0}, {alice(), policy.Remote}} {
		fields, err := cache.fields(c.who, &policy.Route{Name: "/", Identity: c.families})
		if err != nil || slices.ContainsFunc(fields, func(f field) bool { return strings.HasPrefix(f.name, "Wave-") }) {
			t.Errorf("%v: got %v %v", c, fields, err)
		}
	}
}

func TestSignerRefusesOtherKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*ecdsa.PrivateKey{nil, key} {
		if _, err := NewSigner("", k); err == nil {
			t.Error("accepted")
		}
	}
}

// assertionOf returns the assertion among fields.
func assertionOf(t *testing.T, c *identityCache, who *identity.Principal, route *policy.Route) string {
	t.Helper()
	fields, err := c.fields(who, route)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == "Wave-Assertion" })
	return fields[i].values[0]
}

func TestAssertionsAreReusedFor20Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &identityCache{signer: newSigner(t)}
		who, one, two := alice(), &policy.Route{Name: "/a", Identity: policy.Wave}, &policy.Route{Name: "/b", Identity: policy.Wave}
		first := assertionOf(t, c, who, one)
		time.Sleep(assertionReuse - time.Second)
		if assertionOf(t, c, who, one) != first {
			t.Error("signed again after 19 s")
		}
		if assertionOf(t, c, who, two) == first || assertionOf(t, c, alice(), one) == first {
			t.Error("an assertion serves another route or principal")
		}
		time.Sleep(time.Second)
		if assertionOf(t, c, who, one) == first {
			t.Error("reused after 20 s")
		}
	})
}

func TestIdentityCacheIsBounded(t *testing.T) {
	var c identityCache
	r := &policy.Route{Name: "/", Identity: policy.Wave}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 3 * maxIdentities {
				who := &identity.Principal{Method: identity.MethodSession, Subject: fmt.Sprint(i)}
				if fields, err := c.fields(who, r); err != nil || fields[0].values[0] != fmt.Sprint(i) {
					t.Errorf("got %v %v", fields, err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(c.young) + len(c.old); n > 2*maxIdentities {
		t.Errorf("%d entries", n)
	}
}

// setIdentity puts the headers of the families for who on h.
func setIdentity(h http.Header, who *identity.Principal, families policy.Families) {
	for _, f := range identityFields(who, "", families) {
		h[f.name] = f.values
	}
}
