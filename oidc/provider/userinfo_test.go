package provider

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// info asks UserInfo with an access token.
func (b *tokenBench) info(t testing.TB, token string) (map[string]any, error) {
	t.Helper()
	known, err := b.Lookup(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return b.UserInfo(t.Context(), known)
}

func TestUserInfoFollowsTheScopes(t *testing.T) {
	for scope, want := range map[string]map[string]any{
		"openid":               {},
		"openid a:read":        {},
		"openid profile":       {"preferred_username": "ann", "name": "ann", "groups": []string{"eng", "ops"}},
		"openid email":         {"email": "ann@example.com", "email_verified": true},
		"openid profile email": {"preferred_username": "ann", "name": "ann", "groups": []string{"eng", "ops"}, "email": "ann@example.com", "email_verified": true},
	} {
		b := newTokenBench(t)
		got, err := b.info(t, b.tokens(t, granting(strings.Fields(scope)...)).AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		want["sub"] = "local|ann"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", scope, diff)
		}
	}
}

// It is about the person as they are now, not when the token was made.
func TestUserInfoIsAboutThePersonOfToday(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, nil)
	b.person.Username, b.person.Email, b.person.Groups = "ann.b", "", nil
	for i := range 2000 {
		b.person.Groups = append(b.person.Groups, fmt.Sprintf("group-%d", i))
	}
	got, err := b.info(t, a.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"sub": "local|ann", "preferred_username": "ann.b", "name": "ann.b", "groups": b.person.Groups[:maxUserInfoGroups]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	b.person.Groups = nil
	if got, err = b.info(t, a.AccessToken); err != nil || got["groups"] != nil {
		t.Errorf("without groups: %v %v", got, err)
	}
}

func TestUserInfoRefusesTokensThatAreNotForIt(t *testing.T) {
	b := newTokenBench(t)
	c := b.app(t)
	elsewhere := b.tokens(t, func(a *Authorization) { a.Grant.Resources = []string{tokenService, tokenIssuer} })
	narrowed := b.must(t, c, refreshForm(elsewhere.RefreshToken, "resource", tokenService))
	for name, test := range map[string]struct {
		token, want string
		status      int
	}{
		"client's own":     {b.must(t, c, ownForm()).AccessToken, InvalidToken, http.StatusUnauthorized},
		"another audience": {narrowed.AccessToken, InvalidToken, http.StatusUnauthorized},
		"without openid":   {b.tokens(t, granting("profile", "email", "a:read")).AccessToken, InsufficientScope, http.StatusForbidden},
	} {
		got, err := b.info(t, test.token)
		wantError(t, err, test.want)
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != test.status || got != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	if _, err := b.info(t, elsewhere.AccessToken); err != nil {
		t.Errorf("this server among others: %v", err)
	}
}

func TestUserInfoOfSomebodyWhoIsGone(t *testing.T) {
	b := newTokenBench(t)
	a := b.tokens(t, nil)
	b.knowing = ErrNoPerson
	_, err := b.info(t, a.AccessToken)
	wantError(t, err, InvalidToken)
	b.knowing = errors.New("the directory does not answer")
	_, err = b.info(t, a.AccessToken)
	wantUnavailable(t, err)
}
