package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	tokenIssuer  = "https://id.example.com"
	tokenArea    = tokenIssuer + "/v1"
	tokenService = "https://reports.example.com"
	tokenBack    = "https://app.example.com/back"

	// Of RFC 7636, appendix B.
	tokenVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	tokenChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// tokenStart is when the clock of a tokenBench begins. The milliseconds show whether
// whole seconds are taken care of.
func tokenStart() time.Time { return time.Date(2026, 11, 27, 12, 0, 0, 321e6, time.UTC) }

// A tokenBench is a provider with a store in memory, one person and one client.
type tokenBench struct {
	*Provider
	store *memStore

	mu       sync.Mutex // guards all below
	time     time.Time
	rules    Rules
	person   Person
	knowing  error // of Config.Person
	warnings []string
}

func newTokenBench(t testing.TB) *tokenBench {
	t.Helper()
	b := &tokenBench{store: newMemStore(), time: tokenStart()}
	b.store.keys = slices.Clone(tokenKeys())
	b.rules = Rules{
		SignIn: true, AccessLifetime: 10 * time.Minute, RefreshLifetime: 30 * 24 * time.Hour, GrantLifetime: 90 * 24 * time.Hour,
		KeyLifetime: 365 * 24 * time.Hour, Resources: []string{tokenService}, Known: isOneOf("a:read", "a:write", "b:read"),
	}
	b.person = Person{
		UserID: "usr_ann", Subject: "local|ann", Username: "ann", Email: "ann@example.com", Groups: []string{"eng", "ops"},
		May: isOneOf("a:read", "a:write", "b:read"),
	}
	b.Provider = newTokenProvider(t, b)
	b.store.follow = b.Apply
	b.client(nil)
	return b
}

func newTokenProvider(t testing.TB, b *tokenBench) *Provider {
	t.Helper()
	p, err := New(Config{
		Issuer: tokenIssuer,
		Endpoints: Endpoints{
			Authorize: tokenIssuer + "/a", Token: tokenIssuer + "/t", Revoke: tokenIssuer + "/r", Introspect: tokenIssuer + "/i",
			UserInfo: tokenIssuer + "/u", Device: tokenIssuer + "/d", PAR: tokenIssuer + "/p", Logout: tokenIssuer + "/l",
			JWKS: tokenIssuer + "/j", Register: tokenIssuer + "/g",
		},
		Seal: sealKey, Open: unsealKey, RefreshKeys: [][]byte{[]byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))},
		Rules: b.ruled, Person: b.known, Suspicious: b.warn, Now: b.clock,
	}, b.store)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tokenKeys are signing keys that all benches share: to make one takes long.
var tokenKeys = sync.OnceValue(func() []SigningKey {
	b := &tokenBench{store: newMemStore(), time: tokenStart().Add(-time.Hour)}
	b.rules.KeyLifetime = 365 * 24 * time.Hour
	b.Provider = &Provider{cfg: Config{Issuer: tokenIssuer, Seal: sealKey, Open: unsealKey, Rules: b.ruled}, store: b.store, log: slog.New(slog.DiscardHandler), now: b.clock}
	b.keys = newKeyring(b.Provider)
	for _, alg := range algorithms() {
		if _, err := b.keys.sign(context.Background(), alg, typeID, idClaims{}); err != nil {
			panic(err)
		}
	}
	return b.store.keys
})

func isOneOf(names ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(names, s) }
}

func (b *tokenBench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.time
}

func (b *tokenBench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.time = b.time.Add(d)
}

func (b *tokenBench) ruled() *Rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	return new(b.rules)
}

func (b *tokenBench) known(_ context.Context, userID string) (*Person, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.knowing != nil:
		return nil, b.knowing
	case userID != b.person.UserID:
		return nil, ErrNoPerson
	}
	return new(b.person), nil
}

func (b *tokenBench) warn(_ context.Context, g Grant, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.warnings = append(b.warnings, g.ID+" "+what)
}

// client adds client_app, confidential with every grant, or changes it.
func (b *tokenBench) client(change func(*Client)) *Client {
	c := Client{
		ID: "client_app", Name: "App", Type: Confidential, RedirectURIs: []string{tokenBack}, Scopes: []string{"a:read", "a:write", "b:read"},
		GrantTypes: []string{GrantCode, GrantRefresh, GrantClientCredentials, GrantDevice}, CreatedAt: tokenStart(),
	}
	if change != nil {
		change(&c)
	}
	return new(b.store.setClient(c))
}

// other adds a client that is not client_app.
func (b *tokenBench) other(change func(*Client)) *Client {
	return b.client(func(c *Client) {
		c.ID = "client_other"
		if change != nil {
			change(c)
		}
	})
}

// agree writes what the person agreed to, and returns the code.
func (b *tokenBench) agree(t testing.TB, change func(*Authorization)) string {
	t.Helper()
	code, now := newSecret(codePrefix), b.clock()
	a := Authorization{
		Grant: Grant{
			ID: newSecret("grt_"), ClientID: "client_app", UserID: "usr_ann", Subject: "local|ann",
			Scopes: []string{"openid", "profile", "email", "offline_access", "a:read", "a:write"},
			Nonce:  "n-1", SID: "sid-1", AuthTime: now.Add(-time.Minute), CreatedAt: now, ExpiresAt: now.Add(codeLifetime),
		},
		Code: Code{
			Hash: HashOf(code), ClientID: "client_app", RedirectURI: tokenBack, RedirectGiven: true,
			Challenge: tokenChallenge, ExpiresAt: now.Add(codeLifetime),
		},
	}
	if change != nil {
		change(&a)
	}
	a.Code.GrantID = a.Grant.ID
	if err := b.store.Authorize(t.Context(), a, now); err != nil {
		t.Fatal(err)
	}
	return code
}

// granting changes the scopes of an Authorization.
func granting(scopes ...string) func(*Authorization) {
	return func(a *Authorization) { a.Grant.Scopes = scopes }
}

// form returns parameters: name, value, name, value. Values of one name come
// several times; an empty one removes what was there.
func form(pairs ...string) Params {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			values.Del(pairs[i])
			continue
		}
		values.Add(pairs[i], pairs[i+1])
	}
	return Params{values}
}

// codeForm is the right request for a code of agree, and more.
func codeForm(code string, more ...string) Params {
	p := form("grant_type", GrantCode, "code", code, "redirect_uri", tokenBack, "code_verifier", tokenVerifier)
	maps.Copy(p.values, form(more...).values)
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "" {
			p.values.Del(more[i])
		}
	}
	return p
}

func refreshForm(token string, more ...string) Params {
	return form(append([]string{"grant_type", GrantRefresh, "refresh_token", token}, more...)...)
}

// app returns client_app as it is now.
func (b *tokenBench) app(t testing.TB) *Client {
	t.Helper()
	c, err := b.store.Client(t.Context(), "client_app")
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

func (b *tokenBench) must(t testing.TB, c *Client, params Params) *TokenAnswer {
	t.Helper()
	a, err := b.Token(t.Context(), c, params)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// tokens lets the person agree, and redeems the code.
func (b *tokenBench) tokens(t testing.TB, change func(*Authorization)) *TokenAnswer {
	t.Helper()
	return b.must(t, b.app(t), codeForm(b.agree(t, change)))
}

// refuses checks that a request is refused with a code of RFC 6749, and gets nothing.
func (b *tokenBench) refuses(t testing.TB, c *Client, params Params, code string) {
	t.Helper()
	a, err := b.Token(t.Context(), c, params)
	if a != nil {
		t.Errorf("there are tokens of scope %q", a.Scope)
	}
	wantError(t, err, code)
}

// wantError checks the code of an *Error, and that it may be shown.
func wantError(t testing.TB, err error, code string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	if e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
	if e.Description == "" || strings.ContainsAny(e.Description, `"\`) || strings.ContainsFunc(e.Description, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("description %q", e.Description)
	}
	if strings.Contains(err.Error(), "wgrt_") || strings.Contains(err.Error(), "wgac_") || strings.Contains(err.Error(), "wgdc_") {
		t.Errorf("a secret is in the error: %v", err)
	}
}

// claimsOf returns the payload of a token, which is not verified.
func claimsOf[T any](t testing.TB, token string) (claims T) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// grant returns the grant of an access token as the store has it.
func (b *tokenBench) grant(t testing.TB, a *TokenAnswer) Grant {
	t.Helper()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	return b.store.grants[claimsOf[accessClaims](t, a.AccessToken).GrantID]
}

// racing runs work n times at once.
func racing(n int, work func(i int)) {
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-begin
			work(i)
		})
	}
	close(begin)
	group.Wait()
}
