package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"wavegate/server/session"
)

// Columns in the order in which scanSession and scanUser read them.
const (
	sessionColumns = "s.id, s.hash, s.client_id, s.user_id, s.provider, s.issuer, s.subject, s.sid, s.stamp, " +
		"s.username, s.email, s.group_list, s.sealed, s.version, s.renew_at, s.created_at, s.seen_at, s.expires_at, s.ip, s.user_agent, s.proved_at, " +
		"u.role_list, u.roles_version" // of users u
	userColumns = "id, provider, issuer, subject, username, email, group_list, created_at, seen_at, disabled_at, role_list, roles_version"
)

// millis is a time as it is stored: 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// orNull is NULL for no bytes, so that both databases give back nil.
func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// storable reports whether PostgreSQL can keep the texts as they are, byte for
// byte. What names a person must not be mended: mended names may be equal.
func storable(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return false
		}
	}
	return true
}

// mended makes a text that is only shown to people storable.
func mended(s string) string {
	if storable(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// claimValues are the columns username, email, group_list.
func claimValues(c session.Claims) ([]any, error) {
	groups, err := json.Marshal(append([]string{}, c.Groups...))
	if err != nil {
		return nil, fmt.Errorf("encode groups: %w", err)
	}
	return []any{mended(c.Username), mended(c.Email), string(groups)}, nil
}

// searchOf is what users are found by: the texts that FindUsers looks into, each
// on a line, in lower case.
func searchOf(subject string, c session.Claims) string {
	return strings.ToLower(mended(c.Username) + "\n" + mended(c.Email) + "\n" + subject)
}

// parseList reads a column of groups or roles; nil is none.
func parseList(text string) ([]string, error) {
	var list []string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("decode stored groups or roles: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list, nil
}

func parseHash(raw []byte) (session.Hash, error) {
	var h session.Hash
	if len(raw) != len(h) {
		return h, fmt.Errorf("a stored hash has %d bytes, not %d", len(raw), len(h))
	}
	copy(h[:], raw)
	return h, nil
}

func scanSession(row scanner) (session.Record, error) {
	var r session.Record
	var hash []byte
	var groups, roles string
	var renew, created, seen, expires, proved int64
	err := row.Scan(&r.ID, &hash, &r.ClientID, &r.UserID, &r.Provider, &r.Issuer, &r.Subject, &r.SID, &r.Stamp,
		&r.Username, &r.Email, &groups, &r.Sealed, &r.Version, &renew, &created, &seen, &expires, &r.IP, &r.UserAgent, &proved,
		&roles, &r.RolesVersion)
	if err != nil {
		return session.Record{}, err
	}
	if r.Hash, err = parseHash(hash); err != nil {
		return session.Record{}, err
	}
	if r.Groups, err = parseList(groups); err != nil {
		return session.Record{}, err
	}
	if r.Roles, err = parseList(roles); err != nil {
		return session.Record{}, err
	}
	r.RenewAt, r.CreatedAt, r.SeenAt, r.ExpiresAt, r.ProvedAt = timeOf(renew), timeOf(created), timeOf(seen), timeOf(expires), timeOf(proved)
	return r, nil
}

func scanUser(row scanner) (session.User, error) {
	var u session.User
	var groups, roles string
	var created, seen, disabled int64
	err := row.Scan(&u.ID, &u.Provider, &u.Issuer, &u.Subject, &u.Username, &u.Email, &groups, &created, &seen, &disabled,
		&roles, &u.RolesVersion)
	if err != nil {
		return session.User{}, err
	}
	if u.Groups, err = parseList(groups); err != nil {
		return session.User{}, err
	}
	if u.Roles, err = parseList(roles); err != nil {
		return session.User{}, err
	}
	u.CreatedAt, u.SeenAt, u.DisabledAt = timeOf(created), timeOf(seen), timeOf(disabled)
	return u, nil
}
