package server

import (
	"net/http/httptest"
	"testing"
)

func TestThePortalSaysWhereCurlFindsTheAPI(t *testing.T) {
	for _, tt := range []struct{ public, base, want string }{
		{"https://gate.example.com", "/", "https://gate.example.com"},
		{"https://gate.example.com/", "/gate/", "https://gate.example.com/gate"},
		{"https://example.com/outer", "/gate/", "https://example.com/outer/gate"},
	} {
		s := &Server{cfg: Config{PublicURL: tt.public, BaseURL: tt.base}}
		if got := s.originFor(httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)); got != tt.want {
			t.Errorf("%s with %s: %q, want %q", tt.public, tt.base, got, tt.want)
		}
	}
}
