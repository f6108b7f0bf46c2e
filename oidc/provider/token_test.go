package provider

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTokenRequestsThatNobodyCanAnswer(t *testing.T) {
	b := newTokenBench(t)
	all, few := b.app(t), b.other(func(c *Client) { c.GrantTypes = []string{GrantCode} })
	public := b.other(func(c *Client) { c.ID, c.Type = "client_public", Public })
	for name, test := range map[string]struct {
		client *Client
		params Params
		want   string
	}{
		"no grant_type":               {all, form("code", "x"), InvalidRequest},
		"unknown grant_type":          {all, form("grant_type", "password"), UnsupportedGrant},
		"implicit":                    {all, form("grant_type", "implicit"), UnsupportedGrant},
		"case of grant_type":          {all, form("grant_type", "Refresh_Token"), UnsupportedGrant},
		"not the client's":            {few, form("grant_type", GrantRefresh), UnauthorizedClient},
		"not the client's device":     {few, form("grant_type", GrantDevice), UnauthorizedClient},
		"not the client's own":        {few, form("grant_type", GrantClientCredentials), UnauthorizedClient},
		"public client of its own":    {public, form("grant_type", GrantClientCredentials), UnauthorizedClient},
		"no code":                     {all, form("grant_type", GrantCode), InvalidRequest},
		"no refresh token":            {all, form("grant_type", GrantRefresh), InvalidRequest},
		"no device code":              {all, form("grant_type", GrantDevice), InvalidRequest},
		"code of another shape":       {all, form("grant_type", GrantCode, "code", "SplxlOBeZQQYbYS6WxSbIA"), InvalidGrant},
		"refresh token as a code":     {all, form("grant_type", GrantCode, "code", newSecret(refreshPrefix)), InvalidGrant},
		"code as a refresh token":     {all, form("grant_type", GrantRefresh, "refresh_token", newSecret(codePrefix)), InvalidGrant},
		"code as a device code":       {all, form("grant_type", GrantDevice, "device_code", newSecret(codePrefix)), InvalidGrant},
		"code that nobody has":        {all, codeForm(newSecret(codePrefix)), InvalidGrant},
		"refresh that nobody has":     {all, refreshForm(newSecret(refreshPrefix)), InvalidGrant},
		"device code that nobody has": {all, form("grant_type", GrantDevice, "device_code", newSecret(devicePrefix)), InvalidGrant},
	} {
		t.Run(name, func(t *testing.T) { b.refuses(t, test.client, test.params, test.want) })
	}
}

// What cannot be a secret of this server costs no look into the store.
func TestWhatHasNotTheShapeOfASecretNeverReachesTheStore(t *testing.T) {
	b := newTokenBench(t)
	c := b.app(t)
	before := b.store.called()
	for _, s := range mutations(newSecret(refreshPrefix)) {
		if !isOpaque(refreshPrefix, s) {
			b.refuses(t, c, refreshForm(s), InvalidGrant)
			b.refuses(t, c, codeForm(s), InvalidGrant)
			b.refuses(t, c, form("grant_type", GrantDevice, "device_code", s), InvalidGrant)
		}
	}
	if n := b.store.called() - before; n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
}

// mutations returns every truncation and every bit flip of a secret.
func mutations(secret string) []string {
	var all []string
	for n := 1; n < len(secret); n++ {
		all = append(all, secret[:n], secret[n:])
	}
	for at := range len(secret) {
		for bit := range 8 {
			flipped := []byte(secret)
			flipped[at] ^= 1 << bit
			all = append(all, string(flipped))
		}
	}
	return append(all, secret+"A", secret+"=", " "+secret, secret+"\n", strings.ToUpper(secret))
}

func TestEveryTruncationAndBitFlipOfATokenIsRefused(t *testing.T) {
	b := newTokenBench(t)
	c := b.app(t)
	code := b.agree(t, nil)
	for _, s := range mutations(code) {
		b.refuses(t, c, codeForm(s), InvalidGrant)
	}
	a := b.must(t, c, codeForm(code))
	for _, s := range mutations(a.RefreshToken) {
		b.refuses(t, c, refreshForm(s), InvalidGrant)
	}
	a = b.must(t, c, refreshForm(a.RefreshToken))
	device := b.device(t, DeviceApproved)
	for _, s := range mutations(device) {
		b.refuses(t, c, form("grant_type", GrantDevice, "device_code", s), InvalidGrant)
	}
	b.must(t, c, form("grant_type", GrantDevice, "device_code", device))
	for _, s := range mutations(a.AccessToken) {
		if _, err := b.Lookup(t.Context(), s); !isNoToken(err) {
			t.Fatalf("%q: %v", s, err)
		}
	}
}

func TestSecretsHaveOneShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringMatching(`wgrt_[A-Za-z0-9_-]{42,44}`), rapid.StringMatching(`wgrt_[A-Za-z0-9_=+/\r\n-]{43}`), rapid.String(),
		).Draw(t, "secret")
		if isOpaque(refreshPrefix, s) && (len(s) != 48 || isOpaque(codePrefix, s) || strings.ContainsAny(s, "=+/\r\n")) {
			t.Errorf("%q passes", s)
		}
		if s := newSecret(refreshPrefix); !isOpaque(refreshPrefix, s) {
			t.Errorf("%q does not pass", s)
		}
	})
}

// A store or a directory that cannot be asked says nothing about a token: the client
// keeps what it has.
func TestAFailingStoreNeverSaysRevoked(t *testing.T) {
	for method, run := range map[string]func(*tokenBench, *Client, secrets) error{
		"Code":         byCode,
		"RedeemCode":   byCode,
		"Refresh":      byRefresh,
		"Rotate":       byRefresh,
		"PollDevice":   byDevice,
		"RedeemDevice": byDevice,
		"TokenState":   byIntrospection,
		"RevokeToken":  byRevocation,
		"RevokeGrant":  byRefreshRevocation,
	} {
		t.Run(method, func(t *testing.T) {
			b := newTokenBench(t)
			s := b.secrets(t)
			b.store.fail = failing(method)
			wantUnavailable(t, run(b, b.app(t), s))
			b.store.fail = nil
			if err := run(b, b.app(t), s); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestADirectoryThatCannotBeAskedNeverSaysRevoked(t *testing.T) {
	for name, run := range map[string]func(*tokenBench, *Client, secrets) error{
		"code": byCode, "refresh": byRefresh, "device": byDevice, "introspection": byIntrospection,
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			s := b.secrets(t)
			b.knowing = errors.New("the directory does not answer")
			wantUnavailable(t, run(b, b.app(t), s))
			b.knowing = nil
			if name == "device" {
				b.pass(deviceInterval)
			}
			if err := run(b, b.app(t), s); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// Where the end of a grant cannot be written, it is not said to have ended.
func TestAGrantWhoseEndCannotBeWrittenIsNotSaidToHaveEnded(t *testing.T) {
	b := newTokenBench(t)
	s := b.secrets(t)
	b.knowing, b.store.fail = ErrNoPerson, failing("RevokeGrant")
	wantUnavailable(t, byRefresh(b, b.app(t), s))
	wantUnavailable(t, byCode(b, b.app(t), s))
	b.knowing, b.store.fail = nil, failing("Refresh")
	wantUnavailable(t, byRefreshRevocation(b, b.app(t), s))
	b.store.fail = failing("TokenState")
	wantUnavailable(t, byRevocation(b, b.app(t), s))
}

func TestTokensThatCannotBeSignedAreUnavailable(t *testing.T) {
	b := newTokenBench(t)
	b.store.fail = failing("AddSigningKeys")
	b.store.keys = slices.DeleteFunc(b.store.keys, func(k SigningKey) bool { return k.Algorithm == algRS256 })
	_, err := b.Token(t.Context(), b.app(t), codeForm(b.agree(t, nil)))
	wantUnavailable(t, err)
	b.must(t, b.app(t), ownForm())

	b = newTokenBench(t)
	b.store.fail, b.store.keys = failing("SigningKeys"), nil
	_, err = b.Token(t.Context(), b.app(t), ownForm())
	wantUnavailable(t, err)
}

// What this server signs it also reads: there is a bound to both.
func TestAnAccessTokenThatWouldBeTooLargeIsNotGiven(t *testing.T) {
	b := newTokenBench(t)
	b.rules.Known = func(string) bool { return true }
	c := b.client(func(c *Client) {
		c.Scopes = nil
		for i := range 60 {
			c.Scopes = append(c.Scopes, fmt.Sprintf("%0128d", i))
		}
	})
	b.refuses(t, c, ownForm(), InvalidScope)
	b.lives(t, b.must(t, c, ownForm("scope", strings.Join(c.Scopes[:10], " "))))
}

func TestScopesThatAreNoneAreRefused(t *testing.T) {
	b := newTokenBench(t)
	s := b.secrets(t)
	for _, scope := range []string{`a"b`, `a\b`, "a:r\u00e9ad", strings.Repeat("a", 129)} {
		b.refuses(t, b.app(t), ownForm("scope", scope), InvalidScope)
		b.refuses(t, b.app(t), refreshForm(s.refresh, "scope", scope), InvalidScope)
	}
	b.refuses(t, b.app(t), refreshForm(s.refresh, "resource", "https://elsewhere.example.com"), InvalidTarget)
	if err := byRefresh(b, b.app(t), s); err != nil {
		t.Error(err)
	}
}

// Whatever comes, the answer is an *Error or a client's own token.
func FuzzTokenRequest(f *testing.F) {
	b := newTokenBench(f)
	c := b.app(f)
	for _, seed := range []string{
		codeForm(newSecret(codePrefix)).Encode(), refreshForm(newSecret(refreshPrefix)).Encode(), poll(newSecret(devicePrefix)).Encode(),
		ownForm("scope", "a:read", "resource", tokenArea).Encode(), "grant_type=x", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := ParseQuery(raw)
		if err != nil {
			return
		}
		a, err := b.Token(t.Context(), c, params)
		e, ok := errors.AsType[*Error](err)
		switch {
		case err == nil && (params.Get("grant_type") != GrantClientCredentials || a.RefreshToken != "" || a.IDToken != ""):
			t.Errorf("there are tokens for %q", raw)
		case err != nil && (!ok || a != nil || e.Code == Unavailable):
			t.Errorf("%q: %v", raw, err)
		}
	})
}

// secrets are one of each kind, all of them good.
type secrets struct {
	t                             *testing.T
	code, refresh, device, access string
}

func (b *tokenBench) secrets(t *testing.T) secrets {
	t.Helper()
	a := b.tokens(t, nil)
	return secrets{t, b.agree(t, nil), a.RefreshToken, b.device(t, DeviceApproved), a.AccessToken}
}

func byCode(b *tokenBench, c *Client, s secrets) error {
	_, err := b.Token(s.t.Context(), c, codeForm(s.code))
	return err
}

func byRefresh(b *tokenBench, c *Client, s secrets) error {
	_, err := b.Token(s.t.Context(), c, refreshForm(s.refresh))
	return err
}

func byDevice(b *tokenBench, c *Client, s secrets) error {
	_, err := b.Token(s.t.Context(), c, form("grant_type", GrantDevice, "device_code", s.device))
	return err
}

func byIntrospection(b *tokenBench, c *Client, s secrets) error {
	facts, err := b.Introspect(s.t.Context(), c, form("token", s.access))
	if err == nil && facts["active"] != true {
		return errors.New("the token is not active")
	}
	return err
}

func byRevocation(b *tokenBench, c *Client, s secrets) error {
	return b.Revoke(s.t.Context(), c, form("token", s.access))
}

func byRefreshRevocation(b *tokenBench, c *Client, s secrets) error {
	return b.Revoke(s.t.Context(), c, form("token", s.refresh))
}

// failing makes one method of a store fail.
func failing(method string) func(string) error {
	return func(m string) error {
		if m == method {
			return errors.New("the store does not answer")
		}
		return nil
	}
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, Unavailable)
	if e, ok := errors.AsType[*Error](err); ok && (e.Status != http.StatusServiceUnavailable || e.RetryAfter < time.Second) {
		t.Errorf("status %d, again after %v", e.Status, e.RetryAfter)
	}
}
