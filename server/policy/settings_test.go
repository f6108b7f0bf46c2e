package policy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const day = 24 * time.Hour

// TestEverySetting compares the sections of the file that has everything said.
func TestEverySetting(t *testing.T) {
	const file = "testdata/every-field.yaml"
	p, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"defaults", p.Defaults(), Defaults{Role: "developer", Tier: "free", UserTier: "pro", ClientTier: "gold", AnonymousTier: "free", KeyLifetime: 90 * day}},
		{"trial", p.Trial(), Trial{Enabled: true, TTL: time.Hour, Operations: 25, PerIPMinute: 2, Role: "operator"}},
		{"issuers", p.Issuers(), []Issuer{
			{
				Name: "clerk", Issuer: "https://clerk.example.com", Audience: "wavegate", JWKSURL: "https://clerk.example.com/keys",
				Role: "developer", ScopeClaim: "permissions", Origin: file + ":52",
			},
			{Name: "127-0-0-1", Issuer: "http://127.0.0.1:9000/Realm/", Audience: "w", Role: "account_admin", Origin: file + ":58"},
			{Name: "id-example-com", Issuer: "https://ID.example.com", Audience: "w", ScopeClaim: "scope", Origin: file + ":59"},
		}},
		{"webhooks", p.Webhooks(), Webhooks{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, AllowHTTP: true}},
		{"retention", p.Retention(), Retention{UsageMinutes: 48 * time.Hour, UsageHours: 7 * day, UsageDays: 365 * day, Audit: 3650 * day, Deliveries: day}},
		{"oauth", p.OAuth(), OAuth{
			AccessLifetime: time.Hour, RefreshLifetime: 60 * day, GrantLifetime: 730 * day, KeyLifetime: 90 * day,
			Resources:    []string{"https://api.example.com/v1", "http://127.0.0.1:3000"},
			Registration: Registration{Enabled: true, Scopes: []string{"streams:read"}, PerIPHour: 2, Most: 50},
		}},
		{"session tokens", p.SessionTokens(), SessionTokens{SecretFile: "/run/secrets/session", Lifetime: day, Origin: file + ":70"}},
	} {
		if diff := cmp.Diff(c.want, c.got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if open := p.Match("app.example.com", "/open"); open.AnonymousTier != "gold" || p.AnonymousTier(open).Concurrent != 2 {
		t.Errorf("the public route has tier %q", open.AnonymousTier)
	}
}

func TestSettingsThatAreLeftOut(t *testing.T) {
	kept := Retention{UsageMinutes: 24 * time.Hour, UsageHours: 744 * time.Hour, UsageDays: 17520 * time.Hour, Deliveries: 720 * time.Hour}
	noTier := Defaults{Tier: "unlimited", UserTier: "unlimited", ClientTier: "unlimited", AnonymousTier: "unlimited"}
	for name, p := range map[string]*Policy{
		"zero": {}, "empty": mustParse(t, "upstreams: []"),
		"sections without fields": mustParse(t, "{defaults: {}, webhooks: {}, retention: {}, issuers: [], trial: {enabled: false}, tiers: {}}"),
	} {
		if p.Retention() != kept || p.Defaults() != noTier || p.Trial().Enabled || len(p.Issuers()) > 0 {
			t.Errorf("%s: got %+v, %+v, %+v, %+v", name, p.Retention(), p.Defaults(), p.Trial(), p.Issuers())
		}
		if w := p.Webhooks(); w.AllowHTTP || len(w.AllowNetworks) > 0 {
			t.Errorf("%s: webhooks may lead to %+v", name, w)
		}
	}
	on := mustParse(t, "trial: {enabled: true}").Trial()
	if want := (Trial{Enabled: true, TTL: 30 * time.Minute, Operations: 10, PerIPMinute: 5, Role: "trial"}); on != want {
		t.Errorf("got %+v, want %+v", on, want)
	}
	if forever := mustParse(t, "retention: {audit: 0, usage_days: 1d}").Retention(); forever.Audit != 0 || forever.UsageDays != day {
		t.Errorf("got %+v", forever)
	}
}

func TestDurationsTakeDays(t *testing.T) {
	for s, want := range map[string]time.Duration{"0": 0, "0d": 0, "1d": day, "30d": 30 * day, "1h30m": 90 * time.Minute, "65535d": 65535 * day} {
		if got, err := parseDuration(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"d", "-1d", "1.5d", "1d12h", "65536d", "99999999999999999999d", " 1d", "1 d", "+1d", "1D"} {
		if got, err := parseDuration(s); err == nil {
			t.Errorf("%q is taken as %v", s, got)
		}
	}
}

func TestSizesAreWrittenInTheLargestUnit(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1 KB", 1536: "1536 bytes", 5 << 20: "5 MB", 100 << 30: "100 GB", 10 << 40: "10 TB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
