package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/provider"
)

// fillOAuth stores 3,000 rows of every kind, as many of each client and of each
// person as there may be, and returns a client and a person with some.
func fillOAuth(t testing.TB, s *Store) pair {
	t.Helper()
	p := newPair(t, s)
	at := start.UnixMilli()
	for into, values := range map[string]string{
		"users (id, provider, issuer, subject, username, email, group_list, created_at, seen_at)": "'u' || i, '', '', i || '', '', '', '[]', %[1]d + i, 0",
		"oauth_clients (" + clientColumns + ", search, used_at)": "'c' || i, 'public', 'owner' || i % 500, '', i % 2 = 1, %[1]d + i, 1, 'n', '[]', '[]', '[]', '[]', " +
			"i % 2 = 0, i % 2 = 0, i % 2 = 0, NULL, '', '', '', '[]', 0, 'n', %[1]d + i",
		"oauth_grants (id, client_id, user_id, subject, scopes, resources, nonce, sid, auth_time, created_at, expires_at, revoked_at)": "'g' || i, 'c' || i % 500, 'u' || i % 500, '', '[]', '[]', '', '', 0, %[1]d + i, %[1]d + 60000 * i, (i % 2) * (%[1]d + 60000 * i)",
		"oauth_consents (user_id, client_id, scopes, resources, given_at)":                                                             "'u' || i % 500, 'c' || i, '[]', '[]', 0",
		"oauth_codes (hash, grant_id, client_id, redirect_uri, redirect_given, challenge, expires_at, consumed_at)":                    "%[2]s, 'g' || i, 'c', '', i = 0, '', %[1]d + 60000 * i, (i % 2) * (%[1]d + 60000 * i)",
		"oauth_refresh_tokens (hash, grant_id, created_at, expires_at)":                                                                "%[2]s, 'g' || i, 0, 0",
		"oauth_pushed (hash, client_id, params, source, expires_at)":                                                                   "%[2]s, 'c' || i % 500, '', 's' || i % 500, %[1]d + 60000 * i",
		"oauth_devices (" + deviceColumns + ")":                                                                                        "%[2]s, 'code' || i, 'c' || i % 500, '[]', '[]', 's' || i % 500, 'pending', '', 0, %[1]d + 60000 * i, 0, 0",
		"oauth_assertions (client_id, jti, expires_at)":                                                                                "'c' || i % 500, %[2]s, %[1]d + 60000 * i",
		"oauth_revoked_tokens (jti, expires_at)":                                                                                       "'j' || i, %[1]d + 60000 * i",
	} {
		values = strings.NewReplacer("%[1]d", fmt.Sprint(at), "%[2]s", randomHash(s)).Replace(values)
		run(t, s, "INSERT INTO "+into+" WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999) SELECT "+values+" FROM n")
	}
	return p
}

// TestStatementsOfOAuthUseIndices runs every call on tables of some size. SQLite
// has no statistics of them, as it has none where the program runs.
func TestStatementsOfOAuthUseIndices(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := fillOAuth(t, s)
		if s.dialect.numbered { // small tables are read whole, unless there is another way and it must be taken
			s.writes.SetMaxOpenConns(1)
			_, err := s.writes.Exec("ANALYZE; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
			must(t, err)
		}
		plans := map[string]string{}
		s.watch = func(q querier) querier { return &explained{q, t, s.dialect, plans} }
		clientCalls(t, s)
		grantCalls(t, s, p)
		tokenCalls(t, s, p)
		n, err := s.SweepOAuth(t.Context(), start.Add(26*time.Hour), start.Add(time.Second), 3000)
		must(t, err)
		s.watch = nil
		if len(plans) < 50 || n < 1000 {
			t.Errorf("only %d statements were seen, and %d rows removed", len(plans), n)
		}
		for query, plan := range plans {
			few := strings.Contains(query, "FROM oauth_signing_keys") || strings.Contains(query, "FROM oauth_removals LIMIT")
			if wholeTable(plan) && !few && !strings.Contains(query, "FROM audit_state") {
				t.Errorf("%s\nreads a whole table:\n%s\n", query, plan)
			}
		}
		for part, index := range map[string]string{
			"FROM oauth_clients WHERE TRUE AND owner = ? ORDER BY":               "oauth_clients_of_owner",
			"FROM oauth_clients WHERE owner = ? LIMIT":                           "oauth_clients_of_owner",
			"dynamic AND used_at <= ? ORDER BY":                                  "oauth_clients_unused",
			"AND id <> ? ORDER BY created_at DESC":                               "oauth_grants_of_person",
			"user_id = ? AND client_id = ? AND revoked_at = 0":                   "oauth_grants_of_person",
			"revoked_at > 0 AND revoked_at <= ? ORDER BY":                        "oauth_grants_ended",
			"revoked_at = 0 AND expires_at <= ? ORDER BY":                        "oauth_grants_ended",
			"FROM oauth_grants WHERE client_id = ?":                              "oauth_grants_of_client",
			"consumed_at = 0 AND expires_at <= ?":                                "oauth_codes_done",
			"consumed_at > 0 AND consumed_at <= ?":                               "oauth_codes_done",
			"FROM oauth_pushed WHERE source = ? AND expires_at > ?":              "oauth_pushed_by_source",
			"FROM oauth_pushed WHERE client_id = ? AND expires_at > ?":           "oauth_pushed_by_client",
			"FROM oauth_pushed WHERE expires_at <= ?":                            "oauth_pushed_expire",
			"FROM oauth_devices WHERE source = ? AND expires_at > ?":             "oauth_devices_by_source",
			"FROM oauth_devices WHERE client_id = ? AND expires_at > ?":          "oauth_devices_of_client",
			"FROM oauth_devices WHERE expires_at <= ?":                           "oauth_devices_expire",
			"FROM oauth_assertions WHERE expires_at <= ?":                        "oauth_assertions_expire",
			"FROM oauth_revoked_tokens WHERE expires_at <= ?":                    "oauth_revoked_tokens_expire",
			"SELECT hash FROM oauth_refresh_tokens WHERE grant_id IN":            "oauth_refresh_tokens_of_grant",
			"SELECT user_id, client_id FROM oauth_consents WHERE client_id = ?":  "oauth_consents_to_client",
			"FROM oauth_consents WHERE user_id = ? UNION":                        "oauth_grants_of_person",
			"UPDATE oauth_codes SET consumed_at = ? WHERE hash = ?":              "oauth_codes",
			"UPDATE oauth_refresh_tokens SET consumed_at = ?, next = ? WHERE ha": "oauth_refresh_tokens",
		} {
			wantIndex(t, unwrapped(plans), part, index)
		}
	})
}

// unwrapped makes one line of each statement.
func unwrapped(plans map[string]string) map[string]string {
	lines := map[string]string{}
	for query, plan := range plans {
		lines[strings.Join(strings.Fields(query), " ")] = plan
	}
	return lines
}

func clientCalls(t testing.TB, s *Store) {
	t.Helper()
	ctx := t.Context()
	for _, f := range []ClientFilter{{}, {Owner: "owner7"}, {Search: "n"}, {Owner: "owner7", Search: "n"}} {
		for _, after := range []string{"", "c1500"} {
			_, err := s.Clients(ctx, f, after, 2)
			must(t, err)
		}
	}
	c, err := s.Client(ctx, "c7")
	must(t, err)
	_, err = s.ChangeClient(ctx, c, noted("client.change", "c7"))
	must(t, err)
	must(t, s.DeleteClient(ctx, "c7", Journal{}))
	addClient(t, s, newClient("owner7", start))
	_, err = s.Connections(ctx, "u8", start, 10)
	must(t, err)
}

// grantCalls makes grants, and uses them up.
func grantCalls(t testing.TB, s *Store, p pair) {
	t.Helper()
	ctx := t.Context()
	r, device, denied := pushed(p.client.ID, "s7"), newDevice(p.client.ID, "s7"), newDevice(p.client.ID, "s7")
	must(t, s.Push(ctx, r, start, 100, 100))
	_, err := s.Pushed(ctx, r.Hash, start)
	must(t, err)
	must(t, s.AddDevice(ctx, device, start, 100, 100))
	must(t, s.AddDevice(ctx, denied, start, 100, 100))
	_, err = s.DeviceByUserCode(ctx, device.UserCode, start)
	must(t, err)
	must(t, s.DenyDevice(ctx, denied.Hash, start))
	must(t, s.Authorize(ctx, provider.Authorization{Grant: p.grant(start), Pushed: r.Hash, Consent: &provider.Consent{Scopes: []string{"a"}}}, start))
	must(t, s.Authorize(ctx, provider.Authorization{Grant: p.grant(start), Device: device.Hash}, start))
	_, _, err = s.PollDevice(ctx, device.Hash, p.client.ID, start, time.Second)
	must(t, err)
	_, err = s.RedeemDevice(ctx, device.Hash, start, 1, newRefresh(start), start.Add(time.Hour))
	must(t, err)
	_, err = s.RedeemDevice(ctx, device.Hash, start, 1, newRefresh(start), start.Add(time.Hour))
	wantErr(t, "again", err, provider.ErrUsed)
	_, err = s.Consent(ctx, p.userID, p.client.ID)
	must(t, err)
	must(t, s.Disconnect(ctx, p.userID, p.client.ID, start, Journal{}))
}

func tokenCalls(t testing.TB, s *Store, p pair) {
	t.Helper()
	ctx := t.Context()
	_, code := p.authorize(t, s, start)
	_, _, err := s.Code(ctx, code.Hash)
	must(t, err)
	next := newRefresh(start)
	for _, want := range []error{nil, provider.ErrReplayed} {
		_, err = s.RedeemCode(ctx, code.Hash, start, 1, give(newRefresh(start)))
		wantErr(t, "redeem", err, want)
	}
	g, first := p.redeemed(t, s, start)
	for range 2 {
		_, _, err = s.Rotate(ctx, first.Hash, start, grace, []provider.Hash{next.Hash}, next, start.Add(time.Hour))
		must(t, err)
	}
	for _, id := range []string{"", g.ID} {
		_, err = s.TokenState(ctx, "j7", id, p.client.ID, start)
		must(t, err)
	}
	must(t, s.RevokeGrant(ctx, g.ID, start))
	must(t, s.RevokeToken(ctx, "j", start))
	must(t, s.UseAssertion(ctx, "c7", "j", start))
	must(t, s.AddSigningKeys(ctx, nil, []provider.SigningKey{newSigningKey("ES256", start)}, nil))
	_, err = s.SigningKeys(ctx, start)
	must(t, err)
}
