//go:build linux

package proxytest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// identityNames are the headers that say who somebody is, by family.
func identityNames() []string {
	names := []string{
		"Wave-Subject-ID", "Wave-Username", "Wave-Email", "Wave-Groups", "Wave-Scopes", "Wave-Auth-Method", "Wave-Key-ID",
		"Wave-OAuth-Client-ID", "Wave-Session-ID", "Wave-Client-ID", "Wave-Access-Token", "Wave-Refresh-Token", "Wave-Assertion",
		"Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups",
	}
	for _, prefix := range []string{"X-Forwarded-", "X-Auth-Request-"} {
		names = append(names, prefix+"User", prefix+"Preferred-Username", prefix+"Email", prefix+"Groups")
	}
	return names
}

// questionNames are the headers in which proxies describe requests.
func questionNames() []string {
	return []string{
		"X-Original-URL", "X-Original-URI", "X-Original-Host", "X-Original-Method",
		"X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Proto",
	}
}

// spellings are the ways to write a name that apps may read as that name: CGI
// and its descendants make "_" of whatever is no letter or digit.
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
		strings.ToUpper(strings.ReplaceAll(name, "-", "_")), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "."),
	}
}

// foldedName is how a sloppy app reads a name.
func foldedName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r | 0x20
		}
		return '-'
	}, name)
}

// expectIdentity checks what the app was told: who, in Wave-* and Remote-*, and
// a signed assertion of it; nothing for nobody.
func (s *stage) expectIdentity(t *testing.T, saw sighting, who string) {
	t.Helper()
	want := map[string]string{
		"wave-subject-id": who, "wave-username": who, "wave-key-id": who, "wave-auth-method": "access-key",
		"remote-user": who, "remote-name": who,
	}
	if who == "" {
		clear(want)
	}
	got := map[string]string{}
	for name, values := range saw.Header {
		folded := foldedName(name)
		if strings.HasPrefix(folded, "wave-") || strings.HasPrefix(folded, "remote-") {
			got[folded] = strings.Join(append(values, got[folded]), "|")
		}
	}
	for name, value := range want {
		if strings.TrimSuffix(got[name], "|") != value {
			t.Errorf("the app was told %s: %q, want %q", name, got[name], value)
		}
	}
	if who == "" && len(got) > 0 {
		t.Errorf("the app was told %v about nobody", got)
	}
	if who != "" {
		s.expectAssertion(t, saw.Header.Values("Wave-Assertion"), who)
	}
}

// expectAssertion verifies a Wave-Assertion as an app would.
func (s *stage) expectAssertion(t *testing.T, tokens []string, who string) {
	t.Helper()
	if len(tokens) != 1 {
		t.Errorf("%d assertions, want 1", len(tokens))
		return
	}
	token, err := jwt.ParseSigned(tokens[0], []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Errorf("assertion %q: %v", tokens[0], err)
		return
	}
	var claims jwt.Claims
	if err := token.Claims(s.gate.keySet(t), &claims); err != nil {
		t.Errorf("assertion: %v", err)
		return
	}
	expected := jwt.Expected{Issuer: "wavegate", Subject: who, AnyAudience: routes, Time: time.Now()}
	if err := claims.ValidateWithLeeway(expected, time.Second); err != nil {
		t.Errorf("assertion %+v: %v", claims, err)
	}
}

// routes are the names of the policy's closed routes: an assertion is for one.
var routes = jwt.Audience{"app.example.com/", "app.example.com/admin"}

// keySet fetches the keys that verify assertions.
func (g *gate) keySet(t *testing.T) jose.JSONWebKeySet {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get("http://" + g.addr + "/oauth/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	var set jose.JSONWebKeySet
	if err == nil {
		err = json.Unmarshal(data, &set)
	}
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// expectUnforged fails the test if anything with the mark of a forgery is in
// what the app saw.
func expectUnforged(t *testing.T, what string, saw sighting) {
	t.Helper()
	for name, values := range saw.Header {
		if strings.Contains(strings.Join(values, " "), "forged") {
			t.Errorf("%s: the app saw %s: %q", what, name, values)
		}
	}
}

func forgedHeaders(t *testing.T, s *stage) {
	c := s.from(t, "127.0.0.1")
	names := identityNames()
	if s.name != "nginx" { // which cannot remove headers by the beginning of their names
		names = append(names, "Wave-Future", "Remote-Future")
	}
	for _, name := range names {
		var lines []string
		for _, spelling := range spellings(name) {
			lines = append(lines, spelling+": forged")
		}
		lines = append(lines, "Connection: close")
		saw := s.expectEntry(t, name, c.get("/private", append(lines, authorize("reader"))...))
		expectUnforged(t, name, saw)
		s.expectIdentity(t, saw, "reader")
		saw = s.expectEntry(t, name+", public", c.get("/public", lines...))
		expectUnforged(t, name+", public", saw)
		s.expectIdentity(t, saw, "")
		s.expectRefusal(t, name+", alone", c.get("/private", lines...))
	}
	// Shapes that servers have read as the header they look like.
	for _, line := range []string{"Wave-Subject-ID : forged", "X: y\nWave-Subject-ID: forged", "X: y\r\n Wave-Subject-ID: forged", "X: y\rWave-Subject-ID: forged", "\x0bWave-Subject-ID: forged", "Wave-Subject-ID\x00: forged"} {
		c.get("/private", line, authorize("reader"))
		for _, saw := range s.app.take() {
			for name, values := range saw.Header {
				if strings.HasPrefix(foldedName(strings.TrimSpace(name)), "wave-") && strings.Contains(strings.Join(values, " "), "forged") {
					t.Errorf("%q: the app saw %q: %q", line, name, values)
				}
			}
			s.expectIdentity(t, saw, "reader")
		}
	}
}

// forgedQuestions describes an open request in the headers of a closed one.
func forgedQuestions(t *testing.T, s *stage) {
	c := s.from(t, "127.0.0.1")
	open := map[string]string{
		"X-Original-URL": "http://app.example.com/public?forged", "X-Original-URI": "/public?forged", "X-Original-Host": "open.example.com",
		"X-Original-Method": "GET", "X-Forwarded-Uri": "/public?forged", "X-Forwarded-Method": "OPTIONS",
		"X-Forwarded-Host": "open.example.com", "X-Forwarded-Proto": "https",
	}
	var all []string
	for _, name := range questionNames() {
		for _, spelling := range spellings(name) {
			line := spelling + ": " + open[name]
			s.expectRefusal(t, line, c.get("/private", line))
			s.expectRefusal(t, line+" with a key", c.get("/admin", line, authorize("reader")))
		}
		all = append(all, name+": "+open[name])
	}
	s.expectRefusal(t, "all", c.get("/private", all...))
	s.expectRefusal(t, "all with a key", c.get("/admin", append(all, authorize("reader"))...))
	saw := s.expectEntry(t, "all with the key that it takes", c.get("/private", append(all, authorize("reader"))...))
	expectUnforged(t, "all", saw)
	s.expectIdentity(t, saw, "reader")
	if got := saw.Header.Get("X-Forwarded-Host"); got == "open.example.com" {
		t.Errorf("the app saw X-Forwarded-Host: %s", got)
	}
}

// connectionListed names headers in Connection, by which a proxy on the way
// may be made to drop them (RFC 9110 section 7.6.1).
func connectionListed(t *testing.T, s *stage) {
	names := append(identityNames(), questionNames()...)
	names = append(names, "X-Forwarded-For", "Authorization", "Host", "X-Real-IP")
	c := s.from(t, "127.0.0.1")
	for _, name := range names {
		line := "Connection: close, " + strings.ToLower(name)
		a := c.get("/private", line, authorize("reader"))
		if seen := s.app.take(); len(seen) > 0 {
			s.expectIdentity(t, seen[0], "reader")
		} else if name != "Authorization" && name != "Host" {
			t.Errorf("%s: status %d and nothing at the app", line, a.status)
		}
		s.expectRefusal(t, line, c.get("/private", line))
		s.expectRefusal(t, line, c.get("/admin", line, name+": /public", authorize("reader")))
	}
}
