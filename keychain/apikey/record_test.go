package apikey_test

import (
	"net/netip"
	"testing"
	"time"

	"wavegate/keychain/apikey"
)

func TestAllowListReadsMappedAddressesAsIPv4(t *testing.T) {
	list := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	r := apikey.Record{AllowedIPs: list}
	for ip, want := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.3.1": false, "::ffff:192.0.3.1": false,
		"2001:db8::1": true, "2001:db8::1%eth0": true, "2001:db9::1": false, "": false,
	} {
		addr, _ := netip.ParseAddr(ip)
		if r.Allows(addr) != want {
			t.Errorf("%q is allowed: %v, want %v", ip, !want, want)
		}
		if open := (&apikey.Record{}); !open.Allows(addr) {
			t.Errorf("the empty list refuses %q", ip)
		}
	}
}

func TestStatusOfAKey(t *testing.T) {
	past, future := noon.Add(-time.Millisecond), noon.Add(time.Millisecond)
	tests := []struct {
		r    apikey.Record
		want apikey.Status
	}{
		{apikey.Record{}, apikey.Active},
		{apikey.Record{ExpiresAt: future}, apikey.Active},
		{apikey.Record{ExpiresAt: noon}, apikey.Expired},
		{apikey.Record{DeprecatedAt: past, ExpiresAt: future}, apikey.Deprecated},
		{apikey.Record{DeprecatedAt: past, ExpiresAt: past}, apikey.Expired},
		{apikey.Record{RevokedAt: past, DeprecatedAt: past, ExpiresAt: past}, apikey.Revoked},
	}
	for _, tt := range tests {
		if got := tt.r.Status(noon); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.r, got, tt.want)
		}
	}
}
