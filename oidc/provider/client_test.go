package provider

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"
)

// noon is a time of these tests.
var noon = time.Date(2026, 5, 1, 12, 0, 0, 123_456_789, time.UTC)

func TestClientIDsAndSecretsAreOfTheirForm(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := NewClientID()
		secret, record := NewSecret(noon, time.Time{})
		if !regexp.MustCompile(`^client_[a-z2-7]{26}$`).MatchString(id) || !mayBeClientID(id) {
			t.Errorf("ID %q", id)
		}
		random, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(secret, "wgcs_"))
		if err != nil || len(random) != 32 || !strings.HasPrefix(secret, "wgcs_") {
			t.Errorf("a secret is not of the form: %v", err)
		}
		if !regexp.MustCompile(`^sec_[a-z2-7]{26}$`).MatchString(record.ID) || record.Hash != HashOf(secret) || !strings.HasSuffix(secret, record.Hint) || len(record.Hint) != 4 {
			t.Errorf("its record is %+v", record)
		}
		for _, s := range []string{id, secret, record.ID} {
			if seen[s] {
				t.Errorf("%q came twice", s)
			}
			seen[s] = true
		}
	}
}

func TestTimesOfSecretsAreThoseOfRecords(t *testing.T) {
	berlin := time.FixedZone("", 7200)
	_, s := NewSecret(noon.In(berlin), noon.In(berlin).Add(time.Hour))
	if want := noon.Truncate(time.Millisecond); s.CreatedAt != want || s.ExpiresAt != want.Add(time.Hour) {
		t.Errorf("made %v, expires %v", s.CreatedAt, s.ExpiresAt)
	}
	if s.Live(s.ExpiresAt) || !s.Live(s.ExpiresAt.Add(-1)) {
		t.Error("it does not expire when it should")
	}
	if _, s = NewSecret(noon, time.Time{}); !s.ExpiresAt.IsZero() || !s.Live(noon.AddDate(100, 0, 0)) {
		t.Errorf("for ever ends at %v", s.ExpiresAt)
	}
}

func TestClientsMayAskForWhatTheyHave(t *testing.T) {
	c := &Client{GrantTypes: []string{GrantCode}, Scopes: []string{"streams:read"}}
	for scope, want := range map[string]bool{
		"streams:read": true, "streams:write": false, "": false, "*": false, "Streams:read": false,
		"openid": true, "profile": true, "email": true, "offline_access": true, "address": false, "OpenID": false,
	} {
		if got := c.MayAsk(scope); got != want {
			t.Errorf("scope %q: %t", scope, got)
		}
	}
	for grant, want := range map[string]bool{GrantCode: true, GrantRefresh: false, GrantClientCredentials: false, GrantDevice: false, "": false} {
		if got := c.MayUse(grant); got != want {
			t.Errorf("grant %q: %t", grant, got)
		}
	}
	if c.Disabled() || !(&Client{DisabledAt: noon}).Disabled() {
		t.Error("Disabled is not what DisabledAt says")
	}
}
