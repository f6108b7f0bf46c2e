package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestACodeBecomesTokens(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, nil)
	now := b.clock()
	if a.TokenType != "Bearer" || a.ExpiresIn != 600 || a.Scope != "openid profile email offline_access a:read a:write" || !isOpaque(refreshPrefix, a.RefreshToken) {
		t.Errorf("answer: %s, %d s, scope %q", a.TokenType, a.ExpiresIn, a.Scope)
	}
	access := claimsOf[accessClaims](t, a.AccessToken)
	want := accessClaims{
		Issuer: tokenIssuer, Audience: audience{tokenIssuer}, Subject: "local|ann", ClientID: "client_app", Scope: a.Scope,
		IssuedAt: now.Unix(), Expiry: now.Unix() + 600, ID: access.ID, GrantID: access.GrantID,
	}
	if diff := cmp.Diff(want, access); diff != "" || len(access.ID) < 22 || access.GrantID == "" {
		t.Errorf("access token (-want +got):\n%s", diff)
	}
	known, err := b.Lookup(t.Context(), a.AccessToken)
	if err != nil || known.UserID != "usr_ann" || known.GrantID != access.GrantID {
		t.Errorf("the token is not known: %v", err)
	}
	if g := b.grant(t, a); !g.ExpiresAt.Equal(kept(now.Add(30 * 24 * time.Hour))) {
		t.Errorf("the grant ends %v", g.ExpiresAt)
	}
}

// RFC 9700, sections 2.1.1, 4.5 and 4.8; RFC 6749, section 4.1.3: exactly one thing
// is not as it should be, and the code is worth nothing afterwards.
func TestACodeIsBurntByWhateverDoesNotFit(t *testing.T) {
	verifier := strings.Repeat("v", 43)
	for name, test := range map[string]struct {
		agreed func(*Authorization)
		client func(*tokenBench) *Client
		wait   time.Duration
		params []string
	}{
		"client":                 {client: func(b *tokenBench) *Client { return b.other(nil) }},
		"redirect URI":           {params: []string{"redirect_uri", "https://app.example.com/other"}},
		"redirect URI missing":   {params: []string{"redirect_uri", ""}},
		"redirect URI slash":     {params: []string{"redirect_uri", tokenBack + "/"}},
		"redirect URI case":      {params: []string{"redirect_uri", "https://APP.example.com/back"}},
		"redirect URI port":      {params: []string{"redirect_uri", "https://app.example.com:443/back"}},
		"redirect URI user":      {params: []string{"redirect_uri", "https://x@app.example.com/back"}},
		"redirect URI query":     {params: []string{"redirect_uri", tokenBack + "?a=b"}},
		"redirect URI fragment":  {params: []string{"redirect_uri", tokenBack + "#"}},
		"redirect URI not given": {agreed: func(a *Authorization) { a.Code.RedirectGiven = false }, params: []string{"redirect_uri", tokenBack + "2"}},
		"verifier":               {params: []string{"code_verifier", verifier}},
		"verifier missing":       {params: []string{"code_verifier", ""}},
		"verifier case":          {params: []string{"code_verifier", strings.ToLower(tokenVerifier)}},
		"verifier is challenge":  {params: []string{"code_verifier", tokenChallenge}},
		"verifier too short":     {agreed: challenged(s256(tokenVerifier[:42])), params: []string{"code_verifier", tokenVerifier[:42]}},
		"verifier too long":      {agreed: challenged(s256(strings.Repeat("v", 129))), params: []string{"code_verifier", strings.Repeat("v", 129)}},
		"verifier alphabet":      {agreed: challenged(s256(verifier + "+")), params: []string{"code_verifier", verifier + "+"}},
		"plain":                  {agreed: challenged(verifier), params: []string{"code_verifier", verifier}},
		"challenge dropped":      {agreed: challenged(""), client: optional},
		"challenge needed":       {agreed: challenged(""), params: []string{"code_verifier", ""}},
		"challenge of a public client": {
			agreed: challenged(""), params: []string{"code_verifier", ""},
			client: func(b *tokenBench) *Client {
				return b.client(func(c *Client) { c.Type, c.PKCEOptional = Public, true })
			},
		},
		"expiry":           {wait: codeLifetime},
		"expiry of a code": {agreed: func(a *Authorization) { a.Grant.ExpiresAt = a.Grant.ExpiresAt.Add(time.Hour) }, wait: codeLifetime},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			code, c := b.agree(t, test.agreed), b.app(t)
			if test.client != nil {
				c = test.client(b)
			}
			b.pass(test.wait)
			b.refuses(t, c, codeForm(code, test.params...), InvalidGrant)
			b.pass(-test.wait)
			b.refuses(t, b.app(t), codeForm(code), InvalidGrant)
			if n := len(b.store.refreshes); n != 0 {
				t.Errorf("%d refresh tokens were made", n)
			}
		})
	}
}

func challenged(challenge string) func(*Authorization) {
	return func(a *Authorization) { a.Code.Challenge = challenge }
}

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// optional makes PKCE optional for client_app.
func optional(b *tokenBench) *Client { return b.client(func(c *Client) { c.PKCEOptional = true }) }

func TestWhatACodeRequestMayLeaveOut(t *testing.T) {
	b := newTokenBench(t)
	ungiven := func(a *Authorization) { a.Code.RedirectGiven = false }
	b.must(t, b.app(t), codeForm(b.agree(t, ungiven), "redirect_uri", ""))
	b.must(t, b.app(t), codeForm(b.agree(t, ungiven)))
	b.must(t, optional(b), codeForm(b.agree(t, challenged("")), "code_verifier", ""))
}

func TestVerifiers(t *testing.T) {
	const unreserved = `[A-Za-z0-9._~-]`
	rapid.Check(t, func(t *rapid.T) {
		good := rapid.StringMatching(unreserved+`{43,128}`).Draw(t, "verifier")
		if !isVerifier(good) {
			t.Errorf("%q is none", good)
		}
		at := rapid.IntRange(0, len(good)).Draw(t, "at")
		odd := rapid.RuneFrom([]rune(" +/=%\n\x00é\u212a")).Draw(t, "odd")
		if bad := good[:at] + string(odd) + good[at:]; isVerifier(bad) {
			t.Errorf("%q is one", bad)
		}
	})
	for n, want := range map[int]bool{0: false, 42: false, 43: true, 128: true, 129: false} {
		if got := isVerifier(strings.Repeat("a", n)); got != want {
			t.Errorf("%d characters: %v", n, got)
		}
	}
}

// RFC 6749, section 4.1.2: a code that comes a second time revokes what it gave.
func TestAReplayedCodeRevokesWhatItGave(t *testing.T) {
	b := newTokenBench(t)
	c, code := b.app(t), b.agree(t, nil)
	a := b.must(t, c, codeForm(code))
	if _, err := b.Lookup(t.Context(), a.AccessToken); err != nil {
		t.Fatal(err)
	}
	b.store.follow = nil // the store tells this process nothing: it knows what it ended itself
	for range 3 {
		b.refuses(t, c, codeForm(code), InvalidGrant)
	}
	if _, err := b.Lookup(t.Context(), a.AccessToken); !errors.Is(err, ErrInvalid) {
		t.Errorf("the access token: %v", err)
	}
	b.refuses(t, c, refreshForm(a.RefreshToken), InvalidGrant)
	if want := []string{b.grant(t, a).ID + " authorization_code"}; !slices.Equal(b.warnings, want) {
		t.Errorf("warnings %q, want %q", b.warnings, want)
	}
}

// A store that lost its answer has used the code up: nobody gets tokens twice.
func TestACodeWhoseAnswerWasLostGivesNothingAnyMore(t *testing.T) {
	b := newTokenBench(t)
	c, code := b.app(t), b.agree(t, nil)
	b.store.lose = failing("RedeemCode")
	b.refuses(t, c, codeForm(code), Unavailable)
	b.store.lose = nil
	b.refuses(t, c, codeForm(code), InvalidGrant)
	for _, g := range b.store.grants {
		if g.RevokedAt.IsZero() {
			t.Error("the grant lives")
		}
	}
}

func TestRacingRedemptionsOfACodeHaveOneWinnerAtMost(t *testing.T) {
	b := newTokenBench(t)
	c, code := b.app(t), b.agree(t, nil)
	answers := make([]*TokenAnswer, 50)
	racing(len(answers), func(i int) {
		a, err := b.Token(t.Context(), c, codeForm(code))
		if err != nil {
			wantError(t, err, InvalidGrant)
		}
		answers[i] = a
	})
	if n := count(answers); n != 1 {
		t.Fatalf("%d answers have tokens", n)
	}
	a := answers[slices.IndexFunc(answers, func(a *TokenAnswer) bool { return a != nil })]
	if _, err := b.Lookup(t.Context(), a.AccessToken); !errors.Is(err, ErrInvalid) {
		t.Errorf("after the replays the access token is good: %v", err)
	}
	b.refuses(t, c, refreshForm(a.RefreshToken), InvalidGrant)
	if len(b.warnings) == 0 {
		t.Error("nobody was told")
	}
}

func TestACodeLooksAgainAtPersonClientAndPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*tokenBench)
		want   string
	}{
		"person lost a scope": {func(b *tokenBench) { b.person.May = isOneOf("a:write") }, "openid profile email offline_access a:write"},
		"client lost a scope": {func(b *tokenBench) { b.client(func(c *Client) { c.Scopes = []string{"a:read"} }) }, "openid profile email offline_access a:read"},
		"policy lost a scope": {func(b *tokenBench) { b.rules.Known = isOneOf() }, "openid profile email offline_access"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			code := b.agree(t, nil)
			test.change(b)
			if a := b.must(t, b.app(t), codeForm(code)); a.Scope != test.want {
				t.Errorf("scope %q, want %q", a.Scope, test.want)
			}
		})
	}
}

func TestACodeOfSomebodyWhoIsGoneEndsItsGrant(t *testing.T) {
	b := newTokenBench(t)
	code := b.agree(t, nil)
	b.knowing = ErrNoPerson
	b.refuses(t, b.app(t), codeForm(code), InvalidGrant)
	b.knowing = nil
	b.refuses(t, b.app(t), codeForm(code), InvalidGrant)

	code = b.agree(t, granting("a:read"))
	b.person.May = isOneOf()
	b.refuses(t, b.app(t), codeForm(code), InvalidGrant)

	code = b.agree(t, nil)
	b.store.setPerson("usr_ann", true)
	b.refuses(t, b.app(t), codeForm(code), InvalidGrant)
}

// Refresh tokens: with the grant type, and offline_access or without openid.
func TestWhoGetsARefreshToken(t *testing.T) {
	for name, test := range map[string]struct {
		scopes []string
		grants []string
		want   bool
	}{
		"plain OAuth":          {[]string{"a:read"}, []string{GrantCode, GrantRefresh}, true},
		"openid":               {[]string{"openid", "a:read"}, []string{GrantCode, GrantRefresh}, false},
		"openid, offline":      {[]string{"openid", "offline_access"}, []string{GrantCode, GrantRefresh}, true},
		"offline, no grant":    {[]string{"openid", "offline_access"}, []string{GrantCode}, false},
		"plain OAuth no grant": {[]string{"a:read"}, []string{GrantCode}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			b.client(func(c *Client) { c.GrantTypes = test.grants })
			a := b.tokens(t, granting(test.scopes...))
			if got := a.RefreshToken != ""; got != test.want {
				t.Errorf("a refresh token: %v", got)
			}
			if g := b.grant(t, a); !test.want && !g.ExpiresAt.Equal(kept(b.clock().Add(10*time.Minute))) {
				t.Errorf("the grant ends %v", g.ExpiresAt)
			}
			if got := a.IDToken != ""; got != slices.Contains(test.scopes, "openid") {
				t.Errorf("an ID token: %v", got)
			}
		})
	}
}

// RFC 8707, section 2.2: the token request narrows what was authorized.
func TestResourcesNarrowAndNeverWiden(t *testing.T) {
	all := []string{tokenIssuer, tokenService, tokenArea, tokenIssuer + "/v2"}
	b := newTokenBench(t)
	c := b.app(t)
	rapid.Check(t, func(r *rapid.T) {
		granted := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 3, rapid.ID).Draw(r, "granted")
		asked := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 3, rapid.ID).Draw(r, "asked")
		code := b.agree(t, func(a *Authorization) { a.Grant.Resources = granted })
		params := codeForm(code)
		params.values["resource"] = asked
		want := asked
		allowed := b.audience(granted)
		if len(asked) == 0 {
			want = allowed
		}
		a, err := b.Token(t.Context(), c, params)
		if !within(asked, allowed) {
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != InvalidTarget || a != nil {
				r.Fatalf("got %v, want invalid_target", err)
			}
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		if got := claimsOf[accessClaims](t, a.AccessToken).Audience; !slices.Equal(got, want) {
			r.Errorf("audience %q, want %q", got, want)
		}
	})
}

func TestResourcesThatThePolicyDroppedAreNoAudienceAnyMore(t *testing.T) {
	b := newTokenBench(t)
	both := func(a *Authorization) { a.Grant.Resources = []string{tokenService, tokenArea} }
	one := func(a *Authorization) { a.Grant.Resources = []string{tokenService} }
	first, second := b.agree(t, both), b.agree(t, one)
	b.rules.Resources = nil
	a := b.must(t, b.app(t), codeForm(first))
	if got := claimsOf[accessClaims](t, a.AccessToken).Audience; !slices.Equal(got, audience{tokenArea}) {
		t.Errorf("audience %q", got)
	}
	b.refuses(t, b.app(t), codeForm(second), InvalidTarget)
}

// Of one person's grants to one client the oldest make room.
func TestGrantsOfOnePersonToOneClientAreBounded(t *testing.T) {
	b := newTokenBench(t)
	var first, last *TokenAnswer
	for range mostGrants + 1 {
		last = b.tokens(t, granting("a:read"))
		if first == nil {
			first = last
		}
		b.pass(time.Second)
	}
	b.refuses(t, b.app(t), refreshForm(first.RefreshToken), InvalidGrant)
	b.must(t, b.app(t), refreshForm(last.RefreshToken))
}
