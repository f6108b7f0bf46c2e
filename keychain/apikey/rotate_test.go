package apikey_test

import (
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

// sameRecord compares records.
var sameRecord = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

// moment is any time near the middle, in milliseconds, and often never.
func moment(t *rapid.T, middle time.Time, label string) time.Time {
	if rapid.Bool().Draw(t, label+" never") {
		return time.Time{}
	}
	return middle.Add(time.Duration(rapid.Int64Range(-5000, 5000).Draw(t, label)) * time.Millisecond)
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestRotationNeverOutlivesTheOwnExpiryAndNeverRevives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := fullRecord()
		old.ExpiresAt = moment(t, noon, "expiry")
		old.RevokedAt = moment(t, noon, "revocation")
		old.DeprecatedAt = moment(t, noon, "deprecation")
		grace := time.Duration(rapid.Int64Range(-10, 10_000).Draw(t, "grace")) * time.Millisecond
		before := old
		deprecated, next, err := apikey.Rotate(old, noon, grace)
		if diff := cmp.Diff(before, old, sameRecord); diff != "" {
			t.Fatalf("the old record was changed:\n%s", diff)
		}
		if may := old.Status(noon) == apikey.Active && grace >= 0; may != (err == nil) {
			t.Fatalf("a key that is %s was rotated with grace %v: %v", old.Status(noon), grace, err)
		}
		if err != nil {
			return
		}
		checkRotation(t, old, deprecated, next, grace)
	})
}

func checkRotation(t *rapid.T, old, deprecated, next apikey.Record, grace time.Duration) {
	if !next.ExpiresAt.Equal(old.ExpiresAt) {
		t.Fatalf("the new key expires at %v, the old one did at %v", next.ExpiresAt, old.ExpiresAt)
	}
	if deprecated.ExpiresAt.IsZero() || !old.ExpiresAt.IsZero() && deprecated.ExpiresAt.After(old.ExpiresAt) {
		t.Fatalf("the old key expires at %v in grace, and would have at %v", deprecated.ExpiresAt, old.ExpiresAt)
	}
	for at := noon; at.Before(noon.Add(12 * time.Second)); at = at.Add(100 * time.Millisecond) {
		if old.Status(at) == apikey.Expired && (deprecated.Status(at) != apikey.Expired || next.Status(at) != apikey.Expired) {
			t.Fatalf("at %v the old key would have expired: it is %s, and the new one %s", at, deprecated.Status(at), next.Status(at))
		}
		if in, opens := at.Before(noon.Add(grace)), deprecated.Status(at) == apikey.Deprecated; opens && !in {
			t.Fatalf("at %v the grace is over and the old key is %s", at, deprecated.Status(at))
		}
	}
}

func fullRecord() apikey.Record {
	return apikey.Record{
		ID: "key_old", Hash: [32]byte{1}, HashBy: "0badcafe", Prefix: "wave_live_01234567", Account: "key_first",
		Name: "deploy", Description: "of the site", Environment: apikey.Live, Role: "developer",
		Scopes: []string{"streams:read"}, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Metadata: []byte(`{"team":"web"}`), Tier: "pro", OpsLimit: 10, Budget: apikey.Budget{PerDay: 5, PerMonth: 50},
		Owner: "sub:ann", UserID: "usr_ann", CreatedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(48 * time.Hour),
		LastUsedAt: noon.Add(-time.Minute), Version: 4, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
}

func TestRotateInheritsEverything(t *testing.T) {
	old := fullRecord()
	deprecated, next, err := apikey.Rotate(old, noon.Add(1500*time.Microsecond), 24*time.Hour)
	must(t, err)
	now := noon.Add(time.Millisecond) // the store keeps milliseconds
	want := old
	want.ID, want.Hash, want.HashBy, want.Prefix = next.ID, [32]byte{}, "", ""
	want.CreatedAt, want.LastUsedAt, want.Version, want.Networks = now, time.Time{}, 1, nil
	if diff := cmp.Diff(want, next, sameRecord); diff != "" {
		t.Errorf("the new key (-want +got):\n%s", diff)
	}
	want = old
	want.DeprecatedAt, want.ExpiresAt, want.ReplacedBy = now, now.Add(24*time.Hour), next.ID
	if diff := cmp.Diff(want, deprecated, sameRecord); diff != "" {
		t.Errorf("the old key (-want +got):\n%s", diff)
	}
	if next.ID == old.ID {
		t.Error("both keys have one ID")
	}
}

func TestRotateWithoutGraceEndsTheOldKeyAtOnce(t *testing.T) {
	for _, expires := range []time.Time{{}, noon.Add(time.Hour)} {
		old := fullRecord()
		old.ExpiresAt = expires
		deprecated, next, err := apikey.Rotate(old, noon, 0)
		must(t, err)
		if deprecated.Status(noon) != apikey.Expired || next.Status(noon) != apikey.Active {
			t.Errorf("the old key is %s and the new one %s", deprecated.Status(noon), next.Status(noon))
		}
	}
}

func TestRotateRefuses(t *testing.T) {
	tests := []struct {
		change func(*apikey.Record)
		grace  time.Duration
		want   error
	}{
		{func(r *apikey.Record) { r.RevokedAt = noon }, 0, apikey.ErrRevoked},
		{func(r *apikey.Record) { r.ExpiresAt = noon }, 0, apikey.ErrExpired},
		{func(r *apikey.Record) { r.DeprecatedAt = noon }, 0, apikey.ErrRotated},
		{func(*apikey.Record) {}, -time.Nanosecond, apikey.ErrGrace},
	}
	for _, tt := range tests {
		old := fullRecord()
		tt.change(&old)
		_, _, err := apikey.Rotate(old, noon, tt.grace)
		wantErr(t, err, tt.want)
	}
}

func TestFirstRotationCountsByTheFirstKey(t *testing.T) {
	old := fullRecord()
	old.Account = ""
	_, next, err := apikey.Rotate(old, noon, time.Hour)
	must(t, err)
	if next.Account != old.ID {
		t.Errorf("the account is %q, want the ID of the first key", next.Account)
	}
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := apikey.NewID()
		if !regexp.MustCompile(`^key_[a-z2-7]{26}$`).MatchString(id) || seen[id] {
			t.Errorf("ID is %q", id)
		}
		seen[id] = true
	}
}
