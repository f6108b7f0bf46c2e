package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/oidctest"
)

// A sharing is a server whose policy names a secret for session tokens.
type sharing struct {
	*managed
	secretFile string
}

const (
	sharedSecret  = "0123456789abcdef0123456789abcdef-one"
	anotherSecret = "0123456789abcdef0123456789abcdef-two"
)

func share(t *testing.T, lines ...string) sharing {
	t.Helper()
	path := writeFile(t, filepath.Join(t.TempDir(), "session.secret"), sharedSecret+"\n")
	return sharing{issue(t, from, func(c *Config) {
		text, err := os.ReadFile(c.PolicyFile)
		must(t, err)
		writeFile(t, c.PolicyFile, string(text)+"session_tokens: {secret_file: "+path+", lifetime: 1h}\n"+strings.Join(lines, "\n"))
	}), path}
}

// sign makes a token as whoever has the secret can.
func sign(secret string, claims oidctest.Claims) string {
	now := time.Now().Unix()
	full := oidctest.Claims{"sub": "local|ann", "iat": now, "exp": now + 600, "scope": "streams:read"}
	for name, value := range claims {
		if full[name] = value; value == nil {
			delete(full, name)
		}
	}
	return signHMAC(sha256.New, secret, oidctest.Claims{"alg": "HS256", "typ": "JWT"}, full)
}

// signHMAC makes a JWT with a secret of any length.
func signHMAC(sum func() hash.Hash, secret string, parts ...oidctest.Claims) string {
	var texts []string
	for _, part := range parts {
		text, _ := json.Marshal(part) // texts and numbers alone
		texts = append(texts, base64.RawURLEncoding.EncodeToString(text))
	}
	signed := strings.Join(texts, ".")
	mac := hmac.New(sum, []byte(secret))
	_, _ = mac.Write([]byte(signed)) // never fails
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// asked is what a caller gets for a token under the secret.
func (m *managed) asked(headers ...string) answer {
	m.t.Helper()
	return m.do("POST", "/_auth/token", `{"format":"HS256"}`, append(headers, "Content-Type", "application/json")...)
}

func TestSharedTokensOpenRoutesByTheirScopes(t *testing.T) {
	t.Parallel()
	s := share(t)
	a := s.asked(by("narrow")...).want(t, 200, "")
	raw := a.text(t, "access_token")
	if a.text(t, "token_type") != "Bearer" || a.at(t, "expires_in") != 3600.0 || a.text(t, "scope") != "streams:read" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s", a.body)
	}
	if !strings.HasPrefix(raw, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.") {
		t.Errorf("the header of %.60s is not the guide's", raw)
	}
	claims := oidctest.ReadClaims(raw)
	if claims["sub"] != "narrow" || claims["scope"] != "streams:read" || claims["exp"].(float64)-claims["iat"].(float64) != 3600 || len(claims) != 4 {
		t.Errorf("claims %v", claims)
	}
	seen := s.do("GET", "/v1/streams", "", by(raw)...).want(t, 200, "")
	if !strings.Contains(seen.body, "subject=narrow") {
		t.Errorf("the app saw %s", seen.body)
	}
	s.do("POST", "/v1/streams", "", by(raw)...).want(t, 403, "insufficient_scope")
	s.do("POST", "/v1/streams", "", by(s.asked(by("all")...).text(t, "access_token"))...).want(t, 200, "")

	ann := newBrowser(t, s.URL).signInLocal("ann")
	mine := ann.api("POST", "/_auth/token", `{"format":"HS256"}`, "Sec-Fetch-Site", "same-origin").want(t, 200, "").text(t, "access_token")
	if claims := oidctest.ReadClaims(mine); claims["sub"] != "local|ann" || claims["scope"] != "streams:read streams:write" {
		t.Errorf("claims %v", claims)
	}
	s.do("POST", "/v1/streams", "", by(mine)...).want(t, 200, "")
	s.do("POST", "/v1/streams", "", by(sign(sharedSecret, oidctest.Claims{"scope": "streams:write gone:away"}))...).want(t, 200, "")
	s.do("GET", "/v1/streams", "", by(sign(sharedSecret, oidctest.Claims{"scope": ""}))...).want(t, 403, "insufficient_scope")
}

func TestWhoGetsASharedToken(t *testing.T) {
	t.Parallel()
	s := share(t)
	ann := newBrowser(t, s.URL).signInLocal("ann")
	key := s.as("all", "POST", "/v1/auth/keys", `{"name":"k","scopes":["*"]}`).want(t, 201, "").text(t, "api_key.key")
	own := s.own(s.makeClient("all", `{"name":"app","scopes":["streams:read"]}`))
	for what, x := range map[string]struct {
		headers []string
		status  int
	}{
		"nobody": {nil, 401}, "an API key": {by(key), 403}, "a session token": {by(ann.token()), 403}, "an access token": {by(own), 403},
		"itself": {by(s.asked(by("all")...).text(t, "access_token")), 403}, "one that was made elsewhere": {by(sign(sharedSecret, nil)), 403},
	} {
		if a := s.asked(x.headers...); a.StatusCode != x.status || strings.Contains(a.body, "access_token") {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	for _, body := range []string{`{"format":"RS256"}`, `{"format":"none"}`, `{"format":7}`, `{"formt":"HS256"}`, `{"format":"HS256","format":"HS256"}`} {
		s.do("POST", "/_auth/token", body, append(by("all"), "Content-Type", "application/json")...).want(t, 400, "invalid_request")
	}
	if a := ann.api("POST", "/_auth/token", `{"format":"HS256"}`, "Sec-Fetch-Site", "cross-site"); a.StatusCode != 403 {
		t.Errorf("a page of another site: %d", a.StatusCode)
	}
	if a := s.do("POST", "/_auth/token", "", by("all")...).want(t, 200, ""); strings.HasPrefix(a.text(t, "access_token"), "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.") {
		t.Error("a token under the secret is given to whoever did not ask for one")
	}
}

// TestASharedTokenIsNobodysOwner: whoever has the secret can name anybody, so what it
// names is not believed where things belong to somebody.
func TestASharedTokenIsNobodysOwner(t *testing.T) {
	t.Parallel()
	s := share(t)
	ann := newBrowser(t, s.URL).signInLocal("ann")
	mine := madeBy(t, ann.api("POST", "/v1/auth/keys", `{"name":"anns"}`))
	client := clientIn(t, ann.api("POST", clientsPath, `{"name":"anns"}`).want(t, 201, ""))
	for _, sub := range []string{"local|ann", "root", "key:root", "sub:local|ann"} {
		as := by(sign(sharedSecret, oidctest.Claims{"sub": sub, "scope": "*"}))
		for _, x := range []struct {
			method, path, body string
			status             int
		}{
			{"GET", "/v1/auth/keys/" + mine.ID, "", 404},
			{"DELETE", "/v1/auth/keys/" + mine.ID, "", 404},
			{"PATCH", clientsPath + "/" + client.ID, `{"name":"x"}`, 404},
			{"DELETE", clientsPath + "/" + client.ID, "", 404},
			{"GET", clientsPath + "?all=true", "", 403},
			{"GET", "/v1/auth/keys?all=true", "", 403},
			{"GET", "/v1/auth/keys?owner=sub:local|ann", "", 403},
			{"GET", connectionsPath, "", 403},
			{"GET", signingKeysPath, "", 403},
			{"GET", "/v1/auth/users", "", 403},
			{"GET", "/v1/auth/sessions?all=true", "", 403},
		} {
			if a := s.call(x.method, x.path, x.body, as...); a.StatusCode != x.status {
				t.Errorf("%s: %s %s: %d %s, want %d", sub, x.method, x.path, a.StatusCode, a.body, x.status)
			}
		}
		for _, path := range []string{"/v1/auth/keys", clientsPath, "/v1/auth/sessions"} {
			if a := s.call("GET", path, "", as...); strings.Contains(a.body, mine.ID) || strings.Contains(a.body, client.ID) || strings.Contains(a.body, "ses_") {
				t.Errorf("%s sees what is ann's: %s", sub, a.body)
			}
		}
	}
	made := s.call("POST", "/v1/auth/keys", `{"name":"x","scopes":["streams:read"]}`, by(sign(sharedSecret, oidctest.Claims{"scope": "* keys:write"}))...).want(t, 201, "")
	if owner := made.text(t, "api_key.owner"); owner != "shared:local|ann" {
		t.Errorf("what it makes is %s's", owner)
	}
}

func TestBadSharedTokensAreRefused(t *testing.T) {
	t.Parallel()
	s := share(t)
	now := time.Now().Unix()
	whole := oidctest.Claims{"sub": "local|ann", "iat": now, "exp": now + 600, "scope": "*"}
	for what, raw := range map[string]string{
		"another secret":    sign(anotherSecret, nil),
		"the secret's line": sign(sharedSecret+"\n", nil),
		"no secret":         sign("", nil),
		"too long":          sign(sharedSecret, oidctest.Claims{"exp": now + 3602}),
		"no end":            sign(sharedSecret, oidctest.Claims{"exp": nil}),
		"no beginning":      sign(sharedSecret, oidctest.Claims{"iat": nil}),
		"from the future":   sign(sharedSecret, oidctest.Claims{"iat": now + 3000, "exp": now + 3600}),
		"nobody's":          sign(sharedSecret, oidctest.Claims{"sub": ""}),
		"of an issuer":      sign(sharedSecret, oidctest.Claims{"iss": "http://gate.test"}),
		"for somebody":      sign(sharedSecret, oidctest.Claims{"aud": "http://gate.test"}),
		"alg none":          oidctest.SignJWT(oidctest.Claims{"alg": "none", "typ": "JWT"}, whole, nil) + "x",
		"HS512":             signHMAC(sha512.New, sharedSecret, oidctest.Claims{"alg": "HS512", "typ": "JWT"}, whole),
		"an access token's": signHMAC(sha256.New, sharedSecret, oidctest.Claims{"alg": "HS256", "typ": "at+jwt"}, whole),
		"another hash":      signHMAC(sha512.New, sharedSecret, oidctest.Claims{"alg": "HS256", "typ": "JWT"}, whole),
		"a key's name":      signHMAC(sha256.New, sharedSecret, oidctest.Claims{"alg": "HS256", "kid": "x", "typ": "JWT"}, whole),
	} {
		if a := s.do("GET", "/v1/streams", "", append(by(raw), "X-Forwarded-For", "192.0.2.1")...); a.StatusCode != 401 {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	s.do("GET", "/v1/streams", "", by(sign(sharedSecret, oidctest.Claims{"iat": now - 60, "exp": now - 1}))...).want(t, 401, "expired_token")
}

// TestSocketsOfASharedTokenEndWithIt: nothing else ends them.
func TestSocketsOfASharedTokenEndWithIt(t *testing.T) {
	t.Parallel()
	s := share(t)
	now := time.Now().Unix()
	short, long := sign(sharedSecret, oidctest.Claims{"exp": now + 3}), sign(sharedSecret, nil)
	ends := []open{s.socketWith(short), s.streamWith(short)}
	stays := s.socketWith(long)
	for _, o := range ends {
		o.ended("its token expired")
	}
	s.do("GET", "/v1/streams", "", by(short)...).want(t, 401, "expired_token")
	stays.stays("another token expired")
}

// TestAnotherSharedSecretEndsTheTokensOfTheOneBefore swaps the file under the server.
func TestAnotherSharedSecretEndsTheTokensOfTheOneBefore(t *testing.T) {
	t.Parallel()
	s := share(t)
	before := s.asked(by("all")...).text(t, "access_token")
	s.do("GET", "/v1/streams", "", by(before)...).want(t, 200, "")
	next := writeFile(t, s.secretFile+".new", anotherSecret)
	must(t, os.Rename(next, s.secretFile))
	tries := 0
	eventually(t, "the new secret counts", func() bool { // from an address each, for wrong tokens are guesses
		tries++
		from := fmt.Sprintf("192.0.%d.%d", tries/250, 1+tries%250)
		return s.do("GET", "/v1/streams", "", append(by(sign(anotherSecret, nil)), "X-Forwarded-For", from)...).StatusCode == 200
	})
	s.do("GET", "/v1/streams", "", by(before)...).want(t, 401, "invalid_token")
	s.do("GET", "/v1/streams", "", by(s.asked(by("all")...).text(t, "access_token"))...).want(t, 200, "")

	writeFile(t, s.secretFile, "short")
	eventually(t, "a bad secret is told", func() bool { return len(s.lines("reload failed, the old one stays")) > 0 })
	s.do("GET", "/v1/streams", "", by(sign(anotherSecret, nil))...).want(t, 200, "")
	s.do("GET", "/v1/streams", "", by(sign("short", nil))...).want(t, 401, "invalid_token")
	for _, secret := range []string{sharedSecret, anotherSecret} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log holds the secret")
		}
	}
}

func TestThereAreNoSharedTokensUnlessThePolicySaysSo(t *testing.T) {
	t.Parallel()
	m := issue(t)
	if a := m.asked(by("all")...).want(t, 400, "invalid_request"); !strings.Contains(a.body, "session_tokens") {
		t.Errorf("%s", a.body)
	}
	for _, secret := range []string{sharedSecret, "", "secret"} {
		m.do("GET", "/v1/streams", "", by(sign(secret, nil))...).want(t, 401, "invalid_token")
	}
}

func TestASharedSecretThatCannotWorkStopsTheStart(t *testing.T) {
	t.Parallel()
	for what, content := range map[string]string{"short": "secret", "empty": "", "blank": strings.Repeat(" \n", 40), "missing": "-"} {
		path := filepath.Join(t.TempDir(), "s")
		if content != "-" {
			writeFile(t, path, content)
		}
		cfg := issuingConfig(t)
		text, err := os.ReadFile(cfg.PolicyFile)
		must(t, err)
		writeFile(t, cfg.PolicyFile, string(text)+"session_tokens: {secret_file: "+path+"}\n")
		if _, err = New(cfg, &lockedBuffer{}); err == nil || !strings.Contains(err.Error(), "secret_file") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
