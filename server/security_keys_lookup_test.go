package server

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/limit"
)

func TestEveryTruncationAndBitFlipOfAnAPIKeyIsRefused(t *testing.T) {
	t.Parallel()
	a := attacked{withoutLockouts(attack(t).testServer)}
	k := a.mint("ci", `"scopes":["*"]`).Key
	a.things(k, "192.0.2.1").want(t, 200, "")
	var wrong []string
	for i := range len(k) {
		wrong = append(wrong, k[:i], k[i+1:], k[:i]+k[i+1:], k[:i]+"0"+k[i:])
		if o := otherCase(k, i); o != k {
			wrong = append(wrong, o)
		}
	}
	for bit := range 8 * len(k) {
		wrong = append(wrong, flipped(k, bit))
	}
	wrong = append(wrong, k+k, k+"\n", " "+k, k+" ", k+"\x00", k+",", strings.ToUpper(k), strings.ReplaceAll(k, "_", "-"), "Bearer "+k)
	for _, w := range wrong {
		if _, err := a.apiKeys.Lookup(t.Context(), w); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("%q is found: %v", w, err)
		}
	}
	for i, w := range wrong { // the literal bytes through the whole server: a sample of each kind
		if strings.Trim(w, " ") == k || strings.ContainsAny(w, "\n\x00") || i%7 != 0 {
			continue
		}
		for _, line := range []string{"Authorization: Bearer " + w, "Authorization: " + w, "X-API-Key: " + w} {
			if line == "Authorization: Bearer "+k {
				continue
			}
			got := wire(t, a.Addr(), plainGet("/things", "a", line, "X-Forwarded-For: 192.0.2.1"))
			if got == nil || got.StatusCode != 401 && got.StatusCode != 400 {
				t.Errorf("%q: %v", line, got)
			}
		}
	}
	a.things(k, "192.0.2.1").want(t, 200, "")
}

func TestAnAPIKeyInAURLOpensNothingAndIsNotKept(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k := a.mint("ci", `"scopes":["*"]`)
	for _, target := range []string{
		"/things?key=" + k.Key, "/things?api_key=" + k.Key, "/things?apikey=" + k.Key, "/things?access_token=" + k.Key, "/things?token=" + k.Key, "/things?X-API-Key=" + k.Key,
		"/things?authorization=Bearer%20" + k.Key, "/things;key=" + k.Key, "/things/" + k.Key, "/" + k.Key, "/_auth/userinfo?access_token=" + k.Key, "/v1/auth/status?key=" + k.Key,
		"/v1/auth/keys/" + k.Key, "/api/v1/onboarding/temp-key/" + k.Key, "http://" + k.Key + "@a/things", "http://x:" + k.Key + "@a/things",
		"/things/" + strings.Replace(k.Key, "w", "%77", 1), "/things/" + strings.Replace(k.Key, "_", "%5F", 2),
	} {
		got := wire(t, a.Addr(), plainGet(target, "a", "X-Forwarded-For: 192.0.2.1"))
		if got == nil || got.StatusCode < 400 || strings.Contains(got.body, k.Key) {
			t.Errorf("%s: %v", target, got)
		}
	}
	// What a credential opens is not logged with the key in its address either, nor is
	// what is refused written down with it.
	a.do("GET", "/things/"+k.Key, "", bearer(k.Key)...).want(t, 200, "")
	a.do("GET", "/things/"+k.Key, "", bearer(k.Key[:len(k.Key)-1]+"x")...).want(t, 401, "invalid_api_key")
	a.do("GET", "/things/"+k.Key, "", append(bearer(k.Key), "User-Agent", "curl/"+k.Key)...).want(t, 200, "")
	secret := k.Key[len(k.Prefix):]
	var audited answer
	eventually(t, "the refusal is written down", func() bool {
		audited = a.by("root", "GET", "/v1/auth/audit?action=credential.refused", "")
		return strings.Contains(audited.body, k.Prefix+"…")
	})
	if text := a.log.String() + audited.body; strings.Contains(text, secret) || !strings.Contains(a.log.String(), k.Prefix) {
		t.Error("the secret of a key in an address is kept, or its prefix is not there to know it by")
	}
}

// TestUnknownAndWrongAPIKeysAnswerByteForByteAlike walks to the lock of the prefix
// with the beginning of a key that there is, and with one of none.
func TestUnknownAndWrongAPIKeysAnswerByteForByteAlike(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k := a.mint("ci", `"scopes":["*"]`)
	volatile := regexp.MustCompile(`[0-9a-f]{32}|(?m)^(Date|Retry-After): .*$`)
	walk := func(prefix string, subnet int) (out []string) {
		for i := range 12 {
			from, key := fmt.Sprintf("X-Forwarded-For: 198.51.%d.%d", subnet, i), prefix+fmt.Sprintf("%024x", i)
			for _, request := range []string{
				plainGet("/things", "app.test", from, "Authorization: Bearer "+key), plainGet("/things", "app.test", from, "Authorization: Bearer "+key, "Accept: text/html"),
				plainGet("/_auth/verify", "app.test", from, "Authorization: Bearer "+key, "X-Original-Method: GET", "X-Original-URL: https://app.test/things"),
				plainGet("/_auth/userinfo", "app.test", from, "X-API-Key: "+key), plainGet("/v1/auth/keys", "app.test", from, "Authorization: "+key),
			} {
				out = append(out, volatile.ReplaceAllString(a.raw(request), ""))
			}
		}
		return out
	}
	known, unknown := walk(k.Prefix, 1), walk("wave_live_00000000", 2)
	if !strings.HasPrefix(known[0], "HTTP/1.1 401 ") || !strings.Contains(known[0], "WWW-Authenticate: Bearer") || !strings.HasPrefix(known[len(known)-1], "HTTP/1.1 429 ") {
		t.Fatalf("the walk goes from %q to %q", known[0], known[len(known)-1])
	}
	for i := range known {
		if known[i] != unknown[i] {
			t.Errorf("step %d: a wrong secret is answered\n%s\nand an unknown key\n%s", i, known[i], unknown[i])
		}
	}
}

// TestUnknownAndWrongAPIKeysCostTheSame counts allocations, most of which are the
// questions to the store.
func TestUnknownAndWrongAPIKeysCostTheSame(t *testing.T) {
	a := attacked{withoutLockouts(attack(t).testServer)}
	k := a.mint("ci", `"scopes":["*"]`)
	cost := func(prefix string) float64 {
		n := 0
		return testing.AllocsPerRun(50, func() {
			n++
			if status, _ := a.direct("GET", "/things", "192.0.2.1", bearer(prefix+fmt.Sprintf("%024x", n))...); status != 401 {
				t.Errorf("%d", status)
			}
		})
	}
	if wrong, unknown := cost(k.Prefix), cost("wave_live_00000000"); wrong > 1.5*unknown || unknown > 1.5*wrong {
		t.Errorf("%v allocations for a wrong secret, %v for an unknown key", wrong, unknown)
	}
}

func TestTenWrongAPIKeysLockTheirPrefixAndNotWhoUsesItRightly(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k, other := a.mint("ci", `"scopes":["*"]`), a.mint("other", `"scopes":["*"]`)
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	a.things(k.Key, "2001:db8:1::1").want(t, 200, "")
	wrong := k.Prefix + strings.Repeat("0", 24)
	schemes := []string{"Authorization: Bearer ", "Authorization: bearer ", "Authorization: BEARER  ", "Authorization: ", "X-API-Key: ", "x-api-key:"} // one account, however it is sent
	for i := range 10 {
		line := schemes[i%len(schemes)] + wrong
		if got := wire(t, a.Addr(), plainGet("/things", "a", line, fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i))); got.StatusCode != 401 {
			t.Errorf("%d: %q: %d", i, line, got.StatusCode)
		}
	}
	for _, line := range schemes {
		got := wire(t, a.Addr(), plainGet("/things", "a", line+k.Key, "X-Forwarded-For: 203.0.113.99"))
		if got.StatusCode != 429 || got.Header.Get("Retry-After") == "" || !strings.Contains(got.body, "locked_out") {
			t.Errorf("%q from elsewhere: %d %s", line, got.StatusCode, got.body)
		}
	}
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	a.things(k.Key, "2001:db8:1::ffff:2").want(t, 200, "") // its /64
	a.things(k.Key, "2001:db8:2::1").want(t, 429, "locked_out")
	a.things(other.Key, "203.0.113.99").want(t, 200, "")
	a.things(wrong, "192.0.2.1").want(t, 401, "invalid_api_key")
	a.things(k.Key, "192.0.2.1").want(t, 429, "locked_out") // a wrong try of one's own
}

func TestTwentyWrongAPIKeysLockTheirSourceAndNobodyElse(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k := a.mint("ci", `"scopes":["*"]`)
	guess := func(i int) string { return fmt.Sprintf("wave_live_%08x%024x", i, i) }
	for i := range 20 {
		a.things(guess(i), "203.0.113.7").want(t, 401, "invalid_api_key")
		a.things(guess(100+i), fmt.Sprintf("2001:db8:7::%x", i)).want(t, 401, "invalid_api_key")
		a.things(k.Key, "203.0.113.7") // a key of one's own buys no guesses
	}
	a.things(k.Key, "203.0.113.7").want(t, 429, "locked_out")
	a.things(k.Key, "2001:db8:7::abcd").want(t, 429, "locked_out") // the same /64
	a.things(k.Key, "2001:db8:7:1::1").want(t, 200, "")
	a.things(k.Key, "203.0.113.8").want(t, 200, "")
}

// TestOneAttackerNeverBlocksAnotherAPIKey guesses at one key, and at many that there
// are not, from everywhere.
func TestOneAttackerNeverBlocksAnotherAPIKey(t *testing.T) {
	t.Parallel()
	a := attack(t)
	victim, own := a.mint("ci", `"scopes":["*"]`), a.mint("other", `"scopes":["*"]`)
	for i := range 40 {
		from := fmt.Sprintf("203.0.113.%d", i)
		a.direct("GET", "/things", from, bearer(own.Prefix+fmt.Sprintf("%024x", i))...)
		a.direct("GET", "/things", from, "Authorization", basic(victim.ID, "x"))
		a.direct("GET", "/things", from, "X-API-Key", fmt.Sprintf("wave_live_%08x%024x", i, i))
		a.direct("GET", "/things", from, "X-API-Key", strings.ToUpper(victim.Key))
	}
	a.things(victim.Key, "192.0.2.1").want(t, 200, "")
	a.things(own.Key, "192.0.2.1").want(t, 429, "locked_out")
}

// TestKeysWithoutAPrefixLockTheirSourceAlone: what has no prefix of ours cannot be
// told apart, and locks nothing but who sends it.
func TestKeysWithoutAPrefixLockTheirSourceAlone(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for i := range 20 {
		a.things(fmt.Sprint("stranger-", i), "203.0.113.7").want(t, 401, "invalid_api_key")
	}
	a.things("stranger-0", "203.0.113.7").want(t, 429, "locked_out")
	a.things("stranger-0", "203.0.113.8").want(t, 401, "invalid_api_key")
	locks := a.lockouts.List(time.Now())
	if len(locks) != 1 || locks[0].Kind != limit.KindIP {
		t.Errorf("locks: %v", locks)
	}
}
