package provider

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// body returns credentials of the parameters, in pairs.
func body(pairs ...string) Credentials {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return Credentials{Params: Params{values}}
}

func basic(id, secret string, pairs ...string) Credentials {
	c := body(pairs...)
	c.Basic, c.ID, c.Secret = true, id, secret
	return c
}

// withSecret gives a client one more secret.
func withSecret(c *Client, expires time.Time) string {
	secret, record := NewSecret(noon, expires)
	c.Secrets = append(c.Secrets, record)
	return secret
}

func publicClient() *Client {
	return goodClient(func(c *Client) { c.Type, c.GrantTypes = Public, []string{GrantCode} })
}

func TestClientsAuthenticate(t *testing.T) {
	conf, public, keyed, disabled := goodClient(), publicClient(), goodClient(), goodClient()
	first, second := withSecret(conf, time.Time{}), withSecret(conf, noon.Add(time.Hour))
	old := goodClient()
	expired := withSecret(old, noon)
	keyed.JWKS = jwks(t, newECKey(t))
	keyedSecret := withSecret(keyed, time.Time{})
	disabled.DisabledAt = noon.Add(-time.Hour)
	disabledSecret := withSecret(disabled, time.Time{})
	odd := goodClient(func(c *Client) { c.ID = "client_a+b%c" })
	const oddSecret = "p+q %r:ä"
	odd.Secrets = []Secret{{Hash: HashOf(oddSecret)}}
	p, _ := appProvider(conf, public, keyed, disabled, old, odd)
	for name, tt := range map[string]struct {
		c    Credentials
		who  *Client
		code string // of the error
		says string
	}{
		"Basic":                      {basic(conf.ID, first), conf, "", ""},
		"Basic, second secret":       {basic(conf.ID, second), conf, "", ""},
		"Basic and its own ID":       {basic(conf.ID, first, "client_id", conf.ID), conf, "", ""},
		"Basic, encoded":             {basic(url.QueryEscape(odd.ID), url.QueryEscape(oddSecret)), odd, "", ""},
		"Basic, encoded all through": {basic("%63"+conf.ID[1:], "%77"+first[1:]), conf, "", ""},
		"body":                       {body("client_id", conf.ID, "client_secret", first), conf, "", ""},
		"body, second secret":        {body("client_id", conf.ID, "client_secret", second), conf, "", ""},
		"body is not encoded twice":  {body("client_id", odd.ID, "client_secret", oddSecret), odd, "", ""},
		"public":                     {body("client_id", public.ID), public, "", ""},
		"public, empty secret":       {body("client_id", public.ID, "client_secret", ""), public, "", ""},
		"public, Basic, no secret":   {basic(public.ID, ""), public, "", ""},

		"nobody":                    {body(), nil, InvalidClient, "no client is named"},
		"a secret of nobody":        {body("client_secret", first), nil, InvalidClient, "no client is named"},
		"Basic of nobody":           {basic("", first), nil, InvalidClient, "names nobody"},
		"Basic, badly encoded":      {basic(conf.ID, "%zz"), nil, InvalidClient, "not url-encoded"},
		"Basic and a body secret":   {basic(conf.ID, first, "client_secret", first), nil, InvalidRequest, "in one way"},
		"Basic and an assertion":    {basic(conf.ID, first, "client_assertion", "a.b.c", "client_assertion_type", assertionType), nil, InvalidRequest, "in one way"},
		"Basic and a type":          {basic(conf.ID, first, "client_assertion_type", assertionType), nil, InvalidRequest, "in one way"},
		"Basic and another ID":      {basic(conf.ID, first, "client_id", public.ID), nil, InvalidRequest, "another one"},
		"secret and assertion":      {body("client_id", conf.ID, "client_secret", first, "client_assertion", "a.b.c", "client_assertion_type", assertionType), nil, InvalidRequest, "in one way"},
		"assertion without type":    {body("client_id", conf.ID, "client_assertion", "a.b.c"), nil, InvalidRequest, "client_assertion_type has to be"},
		"assertion of another type": {body("client_assertion", "a.b.c", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), nil, InvalidRequest, "client_assertion_type has to be"},
		"type without assertion":    {body("client_id", conf.ID, "client_assertion_type", assertionType), nil, InvalidRequest, "no client_assertion"},
		"wrong secret":              {basic(conf.ID, first+"x"), nil, InvalidClient, "wrong"},
		"wrong case":                {basic(conf.ID, strings.ToUpper(first)), nil, InvalidClient, "wrong"},
		"another client's secret":   {basic(old.ID, first), nil, InvalidClient, "wrong"},
		"expired secret":            {basic(old.ID, expired), nil, InvalidClient, "expired"},
		"no secret":                 {body("client_id", conf.ID), nil, InvalidClient, "without credentials"},
		"empty secret":              {basic(conf.ID, ""), nil, InvalidClient, "without credentials"},
		"unknown":                   {basic("client_x", first), nil, InvalidClient, "no such client"},
		"unknown, without a secret": {body("client_id", "client_x"), nil, InvalidClient, "no such client"},
		"ID in upper case":          {basic(strings.ToUpper(conf.ID), first), nil, InvalidClient, "no such client"},
		"public with a secret":      {body("client_id", public.ID, "client_secret", first), nil, InvalidClient, "public"},
		"public with Basic":         {basic(public.ID, first), nil, InvalidClient, "public"},
		"disabled":                  {basic(disabled.ID, disabledSecret), nil, InvalidClient, "disabled"},
		"with keys, by secret":      {basic(keyed.ID, keyedSecret), nil, InvalidClient, "private_key_jwt"},
		"with keys, by body secret": {body("client_id", keyed.ID, "client_secret", keyedSecret), nil, InvalidClient, "private_key_jwt"},
	} {
		got, err := p.Authenticate(t.Context(), tt.c)
		if tt.who != nil {
			if err != nil || got == nil || got.ID != tt.who.ID {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			continue
		}
		wantRefusal(t, name, err, tt.code, tt.says)
		e, _ := errors.AsType[*Error](err)
		if got != nil || e == nil || tt.code == InvalidClient && (e.Status != http.StatusUnauthorized || e.Basic != tt.c.Basic) {
			t.Errorf("%s: %+v, %v", name, e, got)
		}
		if strings.Contains(err.Error(), first) || strings.Contains(err.Error(), "wgcs_") {
			t.Errorf("%s: a secret is in the error", name)
		}
	}
}

// TestUnknownClientAndWrongSecretAreOneAnswer: nobody learns which clients there
// are.
func TestUnknownClientAndWrongSecretAreOneAnswer(t *testing.T) {
	c, disabled, public := goodClient(), goodClient(func(c *Client) { c.DisabledAt = noon }), publicClient()
	withSecret(c, time.Time{})
	p, _ := appProvider(c, disabled, public)
	var first *Error
	for _, id := range []string{c.ID, "client_unknown", disabled.ID, public.ID} {
		_, err := p.Authenticate(t.Context(), basic(id, "wgcs_wrong"))
		e, _ := errors.AsType[*Error](err)
		if e == nil {
			t.Fatal(err)
		}
		e = e.because(nil)
		if first == nil {
			first = e
		} else if *e != *first {
			t.Errorf("%s: %+v, want %+v", id, e, first)
		}
	}
}

func TestEveryChangeOfASecretIsRefused(t *testing.T) {
	c := goodClient()
	secret := withSecret(c, time.Time{})
	p, _ := appProvider(c)
	for i := range len(secret) {
		for _, other := range []string{secret[:i], secret[:i] + secret[i+1:]} {
			if _, err := p.Authenticate(t.Context(), body("client_id", c.ID, "client_secret", other)); err == nil {
				t.Errorf("cut at %d it is taken", i)
			}
		}
		for bit := range 8 {
			flipped := []byte(secret)
			flipped[i] ^= 1 << bit
			if _, err := p.Authenticate(t.Context(), body("client_id", c.ID, "client_secret", string(flipped))); err == nil {
				t.Errorf("with bit %d of byte %d flipped it is taken", bit, i)
			}
		}
	}
}

func TestAStoreThatFailsSaysNothingOfAClient(t *testing.T) {
	p, s := appProvider()
	s.fault = errors.New("down")
	_, err := p.Authenticate(t.Context(), basic("client_x", "y"))
	wantRefusal(t, "a fault", err, Unavailable, "down")
	if e, _ := errors.AsType[*Error](err); e == nil || e.Status != http.StatusServiceUnavailable || e.RetryAfter == 0 {
		t.Errorf("%+v", e)
	}
}

func TestClientIDOfCredentials(t *testing.T) {
	key := newECKey(t)
	signed := assertion(t, key, "ES256", nil, map[string]any{"sub": "client_a"})
	for name, tt := range map[string]struct {
		c    Credentials
		want string
	}{
		"Basic": {basic("client_a", "x"), "client_a"}, "Basic, encoded": {basic("client%5Fa", "x"), "client_a"}, "Basic, broken": {basic("%", "x"), ""},
		"body": {body("client_id", "client_a"), "client_a"}, "nobody": {body(), ""}, "two": {basic("client_a", "x", "client_id", "client_b"), ""},
		"assertion":            {body("client_assertion", signed, "client_assertion_type", assertionType), "client_a"},
		"assertion and ID":     {body("client_id", "client_b", "client_assertion", signed, "client_assertion_type", assertionType), "client_b"},
		"assertion, broken":    {body("client_assertion", "x", "client_assertion_type", assertionType), ""},
		"what cannot be an ID": {body("client_id", "a b"), ""}, "long": {body("client_id", strings.Repeat("a", maxClientID+1)), ""},
	} {
		if got := tt.c.ClientID(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzCredentials(f *testing.F) {
	c, public := goodClient(func(c *Client) { c.ID = "client_a" }), goodClient(func(c *Client) { c.ID, c.Type, c.GrantTypes = "client_p", Public, []string{GrantCode} })
	secret := withSecret(c, time.Time{})
	p, _ := appProvider(c, public)
	f.Add(true, "client_a", "x", "client_id=client_a")
	f.Add(false, "", "", "client_id=client_p&client_secret=")
	f.Add(true, "%63lient_a", "%", "client_assertion=a.b.c")
	f.Fuzz(func(t *testing.T, isBasic bool, id, password, query string) {
		params, err := ParseQuery(query)
		if err != nil {
			return
		}
		sent := Credentials{Basic: isBasic, ID: id, Secret: password, Params: params}
		got, err := p.Authenticate(t.Context(), sent)
		if err != nil {
			wantRefusal(t, "a refusal", err, err.(*Error).Code, "")
			return
		}
		if got.ID != sent.ClientID() || got.ID == c.ID && params.Get("client_secret") != secret && !isBasic {
			t.Errorf("%+v is taken for %s", sent, got.ID)
		}
	})
}

func BenchmarkAuthenticateBasic(b *testing.B) {
	c := goodClient()
	withSecret(c, time.Time{})
	secret := withSecret(c, noon.Add(time.Hour))
	p, _ := appProvider(c)
	p.now = time.Now
	c.Secrets[1].ExpiresAt = time.Now().Add(time.Hour)
	p.store.(*appStore).clients[c.ID] = *c
	sent := basic(c.ID, secret, "grant_type", "client_credentials")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Authenticate(b.Context(), sent); err != nil {
			b.Fatal(err)
		}
	}
}

// What was right and has ended is no guess, and whoever counts guesses can tell; the
// answer says nothing of it.
func TestWhatWasRightAndHasEndedIsNoGuess(t *testing.T) {
	old, disabled := goodClient(), goodClient()
	expired, living := withSecret(old, noon), withSecret(old, time.Time{})
	disabled.DisabledAt = noon.Add(-time.Hour)
	secret := withSecret(disabled, time.Time{})
	p, _ := appProvider(old, disabled)
	var answers []string
	for name, tt := range map[string]struct {
		c     Credentials
		ended bool
	}{
		"a secret that expired":             {basic(old.ID, expired), true},
		"a disabled client":                 {basic(disabled.ID, secret), true},
		"a wrong secret":                    {basic(old.ID, living+"x"), false},
		"a disabled client, a wrong secret": {basic(disabled.ID, secret+"x"), false},
		"no client":                         {basic("client_none", secret), false},
	} {
		_, err := p.Authenticate(t.Context(), tt.c)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != InvalidClient || errors.Is(err, ErrEnded) != tt.ended {
			t.Errorf("%s: %v, want it to have ended: %t", name, err, tt.ended)
			continue
		}
		answers = append(answers, e.Description)
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("two answers: %q and %q", a, answers[0])
		}
	}
}
