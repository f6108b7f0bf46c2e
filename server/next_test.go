package server

import (
	"net/url"
	"testing"
)

// TestNextNeverLeavesTheOrigin feeds every hostile address to what decides where
// a login leads, as it is and escaped once more.
func TestNextNeverLeavesTheOrigin(t *testing.T) {
	s := &Server{cfg: Config{BaseURL: "/"}}
	for _, evil := range corpus(t, "hostile-targets.txt") {
		for _, next := range []string{evil, url.PathEscape(evil), url.QueryEscape(evil), "/ok" + evil} {
			got := s.safeNext(next)
			if originOf(got) != "" || got == "" || got[0] != '/' {
				t.Errorf("next %q leads to %q", next, got)
			}
			if decoded, err := url.PathUnescape(got); err == nil && originOf(decoded) != "" {
				t.Errorf("next %q leads to %q, decoded %q", next, got, decoded)
			}
		}
	}
}

func TestNextKeepsWhatIsOurs(t *testing.T) {
	s := &Server{cfg: Config{BaseURL: "/gate/"}}
	for next, want := range map[string]string{
		"/reports?year=2026&q=a%2Fb": "/reports?year=2026&q=a%2Fb",
		"/":                          "/",
		"/gate/_portal/profile":      "/gate/_portal/profile",
		"/gate/_auth/account":        "/gate/",
		"/gate/_auth/logout":         "/gate/",
		"/gate/_auth/login?next=/x":  "/gate/",
		"/gate/_auth/%6cogout":       "/gate/",
		"/_auth/logout":              "/_auth/logout", // below another base it is the app's
		"":                           "/gate/",
		"reports":                    "/gate/",
		"/x#fragment":                "/gate/",
		"https://gate.example/x":     "/gate/",
		"/" + longText(2000):         "/gate/",
	} {
		if got := s.safeNext(next); got != want {
			t.Errorf("next %.60q: %.60q, want %q", next, got, want)
		}
	}
}

func longText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a'
	}
	return string(b)
}
