package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// oauthContent is every row that OAuth's calls write to.
func oauthContent(t testing.TB, s *Store) string {
	t.Helper()
	return contentOf(t, s, "oauth_clients", "oauth_removals", "oauth_grants", "oauth_consents", "oauth_codes", "oauth_refresh_tokens", "oauth_pushed",
		"oauth_devices", "oauth_assertions", "oauth_revoked_tokens", "oauth_signing_keys", "audit_log", "audit_state", "changes")
}

// A call changes something by some statements at least.
type call struct {
	name       string
	statements int
	do         func() error
}

// oauthCalls are the calls that change something; a later one may need what an
// earlier one did. The client may repeat each of them after a failure.
func oauthCalls(t *testing.T, s *Store) []call {
	p := newPair(t, s)
	ctx := WithJournal(t.Context(), noted("oauth", "x"))
	added := newClient("sub:ann", start)
	r, d, denied := pushed(p.client.ID, "a"), newDevice(p.client.ID, "a"), newDevice(p.client.ID, "a")
	g, of := p.grant(start), p.grant(start)
	code, first, next := p.code(g), newRefresh(start), newRefresh(start)
	redeem := func(decide func(provider.Code, provider.Grant) (provider.Refresh, time.Time, error), want error) func() error {
		return func() error {
			if _, err := s.RedeemCode(ctx, code.Hash, start, 1, decide); err != want {
				return err
			}
			return nil
		}
	}
	p.redeemed(t, s, start.Add(-time.Hour)) // which is ended by the next
	_, burnt := newPair(t, s).authorize(t, s, start)
	return []call{
		{"AddClient", 4, func() error { _, err := s.AddClient(ctx, added, 9, noted("x", "x")); return err }},
		{"ChangeClient", 3, func() error { _, err := s.ChangeClient(ctx, added, noted("x", "x")); return err }},
		{"DeleteClient", 4, func() error { return s.DeleteClient(ctx, added.ID, noted("x", "x")) }},
		{"Push", 3, func() error { return s.Push(ctx, r, start, 9, 9) }},
		{"AddDevice", 4, func() error { return s.AddDevice(ctx, d, start, 9, 9) }},
		{"AddDevice to be denied", 4, func() error { return s.AddDevice(ctx, denied, start, 9, 9) }},
		{"DenyDevice", 2, func() error { return s.DenyDevice(ctx, denied.Hash, start) }},
		{"PollDevice", 2, func() error { _, _, err := s.PollDevice(ctx, d.Hash, p.client.ID, start, 0); return err }},
		{"Authorize", 8, func() error {
			return s.Authorize(ctx, provider.Authorization{Grant: g, Code: code, Pushed: r.Hash, Consent: &provider.Consent{Scopes: []string{"a"}}}, start)
		}},
		{"Authorize a device", 5, func() error { return s.Authorize(ctx, provider.Authorization{Grant: of, Device: d.Hash}, start) }},
		{"RedeemCode", 8, redeem(give(first), nil)},
		{"RedeemCode refused", 5, func() error {
			if _, err := s.RedeemCode(ctx, burnt.Hash, start, 9, refuse); err != errRefused {
				return err
			}
			return nil
		}},
		{"Rotate", 3, func() error {
			_, _, err := s.Rotate(ctx, first.Hash, start, grace, nil, next, start.Add(time.Hour))
			return err
		}},
		{"RedeemCode again", 4, redeem(refuse, provider.ErrReplayed)},
		{"RevokeToken", 2, func() error { return s.RevokeToken(ctx, "jti", start) }},
		{"UseAssertion", 1, func() error { return s.UseAssertion(ctx, p.client.ID, "jti", start) }},
		{"AddSigningKeys", 3, func() error {
			return s.AddSigningKeys(ctx, nil, []provider.SigningKey{newSigningKey("ES256", start)}, nil)
		}},
		{"Disconnect", 3, func() error { return s.Disconnect(ctx, p.userID, p.client.ID, start, noted("x", "x")) }},
	}
}

// TestOAuthCallThatFailsInTheMiddleDidNothing has each statement of each call fail
// in turn: a code is not used up by an answer that nobody got, and whoever asks
// again gets what they asked for once.
func TestOAuthCallThatFailsInTheMiddleDidNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for _, tt := range oauthCalls(t, s) {
			before := oauthContent(t, s)
			for n := 1; ; n++ {
				seen := 0
				s.watch = func(q querier) querier { return &failing{q, n, &seen} }
				err := tt.do()
				s.watch = nil
				if seen < n { // all of them succeeded
					must(t, err)
					if seen < tt.statements || oauthContent(t, s) == before {
						t.Errorf("%s: %d statements, want %d, and something done", tt.name, seen, tt.statements)
					}
					break
				}
				wantErr(t, fmt.Sprintf("%s, statement %d", tt.name, n), err, session.ErrUnavailable)
				if after := oauthContent(t, s); after != before {
					t.Fatalf("%s, statement %d of it failed: half was done:\n%s\nbefore:\n%s", tt.name, n, after, before)
				}
			}
		}
	})
}

// TestNoSecretInErrorsOfOAuth: what is stored never comes back in an error.
func TestNoSecretInErrorsOfOAuth(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		c := newClient("sub:"+canary, start)
		c.Name, c.Secrets[0].Hint, c.JWKS = canary, canary, []byte(canary)
		addClient(t, s, c)
		_, err := s.AddClient(t.Context(), c, 9, Journal{}) // the same client again
		wantErr(t, "add", err, session.ErrUnavailable)
		run(t, s, "UPDATE oauth_clients SET secrets = ? WHERE id = ?", `[{"hash": "`+canary+`"}]`, c.ID)
		_, broken := s.Client(t.Context(), c.ID)
		wantErr(t, "read", broken, session.ErrUnavailable)
		for _, err := range []error{err, broken} {
			if text := err.Error(); strings.Contains(text, canary) || strings.Contains(text, c.ID) || !strings.Contains(text, "an OAuth client") {
				t.Errorf("error %q", text)
			}
		}
	})
}
