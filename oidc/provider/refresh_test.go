package provider

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestARefreshReplacesTheTokens(t *testing.T) {
	b := newTokenBench(t)
	c := b.app(t)
	first := b.tokens(t, nil)
	b.pass(time.Hour)
	b.person.Groups = []string{"sales"}
	second := b.must(t, c, refreshForm(first.RefreshToken))
	if second.Scope != first.Scope || second.ExpiresIn != 600 || second.TokenType != "Bearer" {
		t.Errorf("answer: scope %q, %d s", second.Scope, second.ExpiresIn)
	}
	if second.RefreshToken == first.RefreshToken || !isOpaque(refreshPrefix, second.RefreshToken) || second.AccessToken == first.AccessToken {
		t.Error("the tokens are no new ones")
	}
	before, after := claimsOf[idClaims](t, first.IDToken), claimsOf[idClaims](t, second.IDToken)
	now := b.clock()
	before.Nonce, before.Groups, before.ATHash = "", []string{"sales"}, leftHash(second.AccessToken)
	before.IssuedAt, before.Expiry = now.Unix(), now.Unix()+600
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("ID token (-want +got):\n%s", diff)
	}
	if g := b.grant(t, second); !g.ExpiresAt.Equal(kept(now.Add(30 * 24 * time.Hour))) {
		t.Errorf("the grant ends %v", g.ExpiresAt)
	}
}

// No token outlives the grant, however often it is refreshed.
func TestRefreshingNeverOutlivesTheGrant(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	ends := b.clock().Add(90 * 24 * time.Hour)
	for range 4 {
		b.pass(20 * 24 * time.Hour)
		a = b.must(t, c, refreshForm(a.RefreshToken))
	}
	b.pass(10*24*time.Hour - time.Minute)
	a = b.must(t, c, refreshForm(a.RefreshToken))
	for name, expiry := range map[string]int64{
		"access": claimsOf[accessClaims](t, a.AccessToken).Expiry, "ID": claimsOf[idClaims](t, a.IDToken).Expiry,
	} {
		if expiry != ends.Unix() {
			t.Errorf("the %s token ends %v, the grant %v", name, time.Unix(expiry, 0), ends)
		}
	}
	if a.ExpiresIn != 60 {
		t.Errorf("%d seconds are left", a.ExpiresIn)
	}
	b.pass(time.Minute)
	b.refuses(t, c, refreshForm(a.RefreshToken), InvalidGrant)
}

func TestARefreshTokenThatWasNotUsedExpires(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, nil)
	b.pass(30 * 24 * time.Hour)
	b.refuses(t, b.app(t), refreshForm(a.RefreshToken), InvalidGrant)
}

// The policy may shorten what a grant lasts.
func TestAGrantThatIsOlderThanThePolicyAllowsIsNotRefreshed(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, nil)
	b.pass(2 * time.Hour)
	b.rules.GrantLifetime = time.Hour
	b.refuses(t, b.app(t), refreshForm(a.RefreshToken), InvalidGrant)
}

// RFC 6749, section 10.4: a refresh token is bound to its client. A stranger changes
// nothing.
func TestARefreshTokenOfAnotherClientIsRefusedAndStays(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, nil)
	other := b.other(nil)
	b.refuses(t, other, refreshForm(a.RefreshToken), InvalidGrant)
	second := b.must(t, b.app(t), refreshForm(a.RefreshToken))
	b.pass(refreshGrace)
	b.refuses(t, other, refreshForm(a.RefreshToken), InvalidGrant)
	b.must(t, b.app(t), refreshForm(second.RefreshToken))
}

func TestScopeOfARefreshNarrowsAndNeverWidens(t *testing.T) {
	all := []string{"openid", "profile", "email", "offline_access", "a:read", "a:write", "b:read", "no:such"}
	b := newTokenBench(t)
	c := b.app(t)
	a := b.tokens(t, nil)
	granted := strings.Fields(a.Scope)
	token := a.RefreshToken
	rapid.Check(t, func(r *rapid.T) {
		asked := rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(r, "scope")
		a, err := b.Token(t.Context(), c, refreshForm(token, "scope", strings.Join(asked, " ")))
		if !within(asked, granted) {
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != InvalidScope || a != nil {
				r.Fatalf("got %v, want invalid_scope", err)
			}
			return // nothing was used up: the next round has the same token
		}
		if err != nil {
			r.Fatal(err)
		}
		want := asked
		if len(asked) == 0 {
			want = granted
		}
		if a.Scope != strings.Join(want, " ") || claimsOf[accessClaims](t, a.AccessToken).Scope != a.Scope {
			r.Errorf("scope %q, want %q", a.Scope, want)
		}
		if got := a.IDToken != ""; got != slices.Contains(want, "openid") {
			r.Errorf("an ID token: %v", got)
		}
		token = a.RefreshToken
		b.pass(time.Second)
	})
	if a := b.must(t, c, refreshForm(token)); a.Scope != strings.Join(granted, " ") {
		t.Errorf("the grant was narrowed to %q", a.Scope)
	}
}

func TestNarrowedIsWithinWhatWasGranted(t *testing.T) {
	scope := rapid.SampledFrom([]string{"a", "b", "c", "d", "a:b", "A"})
	rapid.Check(t, func(t *rapid.T) {
		granted := rapid.SliceOfDistinct(scope, rapid.ID).Draw(t, "granted")
		text := strings.Join(rapid.SliceOf(scope).Draw(t, "asked"), " ")
		got, err := narrowed(granted, text)
		if err == nil && !within(got, granted) {
			t.Errorf("%q of %q", got, granted)
		}
		if (err == nil) != within(strings.Fields(text), granted) {
			t.Errorf("%q of %q: %v", text, granted, err)
		}
	})
}

// Every refresh looks again at person, client, policy.
func TestARefreshLooksAgainAtPersonClientAndPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*tokenBench)
		want   string
	}{
		"person lost a scope": {func(b *tokenBench) { b.person.May = isOneOf("a:write") }, "openid profile email offline_access a:write"},
		"client lost a scope": {func(b *tokenBench) { b.client(func(c *Client) { c.Scopes = []string{"a:read"} }) }, "openid profile email offline_access a:read"},
		"policy lost scopes":  {func(b *tokenBench) { b.rules.Known = isOneOf("b:read") }, "openid profile email offline_access"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			rules, person := b.rules, b.person
			first := b.tokens(t, nil)
			test.change(b)
			second := b.must(t, b.app(t), refreshForm(first.RefreshToken))
			if second.Scope != test.want {
				t.Errorf("scope %q, want %q", second.Scope, test.want)
			}
			b.rules, b.person = rules, person
			b.client(nil)
			if third := b.must(t, b.app(t), refreshForm(second.RefreshToken)); third.Scope != first.Scope {
				t.Errorf("scope %q afterwards, want %q", third.Scope, first.Scope)
			}
		})
	}
}

func TestARefreshThatCanGiveNothingUsesNothingUp(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, granting("a:read", "a:write"))
	may := b.person.May
	b.person.May = isOneOf("a:write")
	b.refuses(t, b.app(t), refreshForm(a.RefreshToken, "scope", "a:read"), InvalidScope)
	b.person.May = isOneOf()
	b.refuses(t, b.app(t), refreshForm(a.RefreshToken), InvalidGrant)
	b.person.May = may
	b.must(t, b.app(t), refreshForm(a.RefreshToken))
}

func TestARefreshAfterTheEndOfWhatIsBehindIt(t *testing.T) {
	for name, end := range map[string]func(*tokenBench){
		"person is unknown":   func(b *tokenBench) { b.person.UserID = "usr_other" },
		"person is disabled":  func(b *tokenBench) { b.store.setPerson("usr_ann", true) },
		"client is disabled":  func(b *tokenBench) { b.client(func(c *Client) { c.DisabledAt = b.clock() }) },
		"client is removed":   func(b *tokenBench) { b.store.removeClient("client_app", b.clock()) },
		"consent withdrawn":   func(b *tokenBench) { b.store.disconnect("usr_ann", "client_app", b.clock()) },
		"refresh token given": func(b *tokenBench) { b.store.endWhere(b.clock(), func(Grant) bool { return true }) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			a, c := b.tokens(t, nil), b.app(t)
			end(b)
			b.refuses(t, c, refreshForm(a.RefreshToken), InvalidGrant)
			if len(b.warnings) != 0 {
				t.Errorf("warnings %q: nothing came twice", b.warnings)
			}
		})
	}
}

// Somebody who may have no tokens any more gets none when they come back.
func TestARefreshOfSomebodyWhoIsGoneEndsTheGrant(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, nil)
	b.knowing = ErrNoPerson
	b.refuses(t, b.app(t), refreshForm(a.RefreshToken), InvalidGrant)
	b.knowing = nil
	if _, err := b.Lookup(t.Context(), a.AccessToken); !errors.Is(err, ErrInvalid) {
		t.Errorf("the access token: %v", err)
	}
	b.refuses(t, b.app(t), refreshForm(a.RefreshToken), InvalidGrant)
}

// RFC 9700, section 4.14.2. An answer that was lost is given once more for 10
// seconds; after that, or once the successor was used, the family ends.
func TestReuseWithinTheGraceHasTheSameSuccessor(t *testing.T) {
	b := newTokenBench(t)
	c, first := b.app(t), b.tokens(t, nil)
	second := b.must(t, c, refreshForm(first.RefreshToken))
	b.pass(refreshGrace - time.Millisecond)
	again := b.must(t, c, refreshForm(first.RefreshToken))
	if again.RefreshToken != second.RefreshToken {
		t.Error("there are two successors")
	}
	b.must(t, c, refreshForm(again.RefreshToken))
	if len(b.warnings) != 0 {
		t.Errorf("warnings %q", b.warnings)
	}
}

func TestReuseAfterTheGraceEndsTheFamily(t *testing.T) {
	for name, before := range map[string]func(*tokenBench, *TokenAnswer){
		"late":            func(b *tokenBench, _ *TokenAnswer) { b.pass(refreshGrace) },
		"after successor": func(b *tokenBench, a *TokenAnswer) { b.must(t, b.app(t), refreshForm(a.RefreshToken)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTokenBench(t)
			c, first := b.app(t), b.tokens(t, nil)
			second := b.must(t, c, refreshForm(first.RefreshToken))
			before(b, second)
			for range 2 {
				b.refuses(t, c, refreshForm(first.RefreshToken), InvalidGrant)
			}
			b.refuses(t, c, refreshForm(second.RefreshToken), InvalidGrant)
			for _, a := range []*TokenAnswer{first, second} {
				if _, err := b.Lookup(t.Context(), a.AccessToken); !errors.Is(err, ErrInvalid) {
					t.Errorf("an access token of the family: %v", err)
				}
			}
			if want := []string{b.grant(t, first).ID + " refresh_token"}; !slices.Equal(b.warnings, want) {
				t.Errorf("warnings %q, want %q", b.warnings, want)
			}
		})
	}
}

func TestARefreshWhoseAnswerWasLostIsAnsweredOnceMore(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	b.store.lose = failing("Rotate")
	b.refuses(t, c, refreshForm(a.RefreshToken), Unavailable)
	b.store.lose = nil
	next := b.must(t, c, refreshForm(a.RefreshToken))
	b.must(t, c, refreshForm(next.RefreshToken))
}

func TestRacingRefreshesHaveTheSameSuccessor(t *testing.T) {
	b := newTokenBench(t)
	c, a := b.app(t), b.tokens(t, nil)
	answers := make([]*TokenAnswer, 50)
	racing(len(answers), func(i int) {
		answer, err := b.Token(t.Context(), c, refreshForm(a.RefreshToken))
		if err != nil {
			t.Error(err)
		}
		answers[i] = answer
	})
	next := map[string]bool{}
	for _, a := range answers {
		if a != nil {
			next[a.RefreshToken] = true
		}
	}
	if len(next) != 1 {
		t.Fatalf("there are %d successors", len(next))
	}
	b.must(t, c, refreshForm(answers[0].RefreshToken))
}

// A process that has a newer key, or an older one, answers a lost answer with the
// successor that was given.
func TestGraceOutlivesTheKeysThatDerive(t *testing.T) {
	b := newTokenBench(t)
	c, first := b.app(t), b.tokens(t, nil)
	second := b.must(t, c, refreshForm(first.RefreshToken))
	slices.Reverse(b.Provider.cfg.RefreshKeys)
	again := b.must(t, c, refreshForm(first.RefreshToken))
	if again.RefreshToken != second.RefreshToken {
		t.Error("another key made another successor")
	}
	b.Provider.cfg.RefreshKeys = [][]byte{[]byte(strings.Repeat("n", 32))}
	b.refuses(t, c, refreshForm(first.RefreshToken), InvalidGrant)
}

func TestSuccessorsCannotBeToldWithoutTheKey(t *testing.T) {
	b := newTokenBench(t)
	seen := map[string]bool{}
	for range 100 {
		raw := newSecret(refreshPrefix)
		tokens, hashes := b.successors(raw)
		for i, next := range tokens {
			if !isOpaque(refreshPrefix, next) || next == raw || seen[next] || hashes[i] != HashOf(next) {
				t.Errorf("successor %d is no good one", i)
			}
			seen[next] = true
		}
	}
}
