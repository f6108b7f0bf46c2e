package provider

import "testing"

func TestCoversIsTheIssuerOrTheHostAndPathOfAResource(t *testing.T) {
	b := newKeyBench(nil)
	tests := []struct {
		audience   string
		host, path string
		want       bool
	}{
		{keyIssuer, "anything.example", "/any/where", true},
		{keyIssuer + "/", "other.example", "/", false},
		{"https://app.example", "app.example", "/", true},
		{"https://app.example", "app.example", "/a/b", true},
		{"https://app.example/", "app.example", "/a", true},
		{"https://APP.example.", "app.example:8443", "/a", true},
		{"https://app.example:9443/a", "App.Example.", "/a", true},
		{"https://app.example/a", "app.example", "/a/", true},
		{"https://app.example/a/", "app.example", "/a", true},
		{"https://app.example/a", "app.example", "/a/b", true},
		{"https://app.example/a", "app.example", "/ab", false},
		{"https://app.example/a/b", "app.example", "/a", false},
		{"https://app.example/a", "app.example", "/A", false},
		{"https://app.example/a", "app.example", "", false},
		{"https://app.example", "app.example.evil", "/", false},
		{"https://app.example", "sub.app.example", "/", false},
		{"https://app.example@evil.example/", "app.example", "/", false},
		{"https://[2001:db8::1]/a", "[2001:db8::1]:443", "/a", true},
		{"https://[2001:db8::1]/a", "[2001:db8::2]", "/a", false},
		{"urn:example:app", "app", "/", false},
		{"app.example", "app.example", "/", false},
		{"file:///a", "", "/a", false},
		{"https:///a", "", "/a", false},
		{"https://app.example/%zz", "app.example", "/", false},
	}
	for _, tt := range tests {
		if got := b.Covers(&AccessToken{Audience: []string{"urn:first", tt.audience}}, tt.host, tt.path); got != tt.want {
			t.Errorf("%s at %s%s: %v, want %v", tt.audience, tt.host, tt.path, got, tt.want)
		}
	}
	if b.Covers(&AccessToken{}, "gate.example", "/") {
		t.Error("a token without an audience is for this server")
	}
}
