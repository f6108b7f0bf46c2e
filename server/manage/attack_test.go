package manage

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What a terminal might obey, or what would end the line, stands in no command: not
// the control characters of ASCII, nor those beyond it, nor what turns text around.
func TestNoCommandHoldsWhatATerminalObeys(t *testing.T) {
	for _, odd := range []string{"\x1b[2J", "\r", "\n", "\x00", "\x7f", "\u0085", "\u009b31m", "\u009d0;x\u009c", "\u2028", "\u2029", "\u202e", "\u2066", "\x9b"} {
		for _, line := range []string{
			quote("it’s " + odd + " here"), quote(odd),
			Call{Method: http.MethodPost, Path: keysCall, Body: keyBody{"name": odd}}.Curl("https://gate.example.com"),
			Call{Method: http.MethodPatch, Path: keyCall(odd), Match: odd, Body: keyBody{}}.Curl("https://gate.example.com"),
			Call{Method: http.MethodGet, Path: keysCall, Query: url.Values{"q": {odd}}}.Curl("https://gate.example.com"),
		} {
			if strings.ContainsAny(line, "\x00\r\n\x1b\x7f\u0085\u009b\u009c\u009d\u2028\u2029\u202e\u2066") || !strings.HasSuffix(line, "'") && !strings.HasSuffix(line, `"`) {
				t.Errorf("%q becomes %q", odd, line)
			}
		}
	}
}

// A page of one key asks for one key: no other call of the API can be reached by what
// stands where its ID does.
func TestAPageOfAKeyReachesNoOtherCall(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/keys/export": "{}\n{}\n"})
	for _, id := range []string{"export", "verify", "import", "usr_1"} {
		for _, page := range []string{"", "/edit", "/rotate", "/revoke"} {
			d.get("keys/" + id + page).want(http.StatusNotFound)
		}
	}
	for _, c := range d.api.calls {
		if strings.HasPrefix(c.Path, keysCall+"/") {
			t.Errorf("%s %s was called", c.Method, c.Path)
		}
	}
}

// Somebody looks for a whole key: it is found by how it begins, and leaves the address.
func TestAWholeKeyIsNotLookedForByTheAddress(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/keys": `{"api_keys": []}`})
	key := "wave_live_0123456789abcdef0123456789abcdef"
	d.get("keys?" + url.Values{"q": {" " + key + " "}, "status": {"active"}}.Encode()).leads("keys?q=wave_live_01234567&status=active")
	d.get("keys?" + url.Values{"q": {"it is " + key}}.Encode()).leads("keys?q=")
	if got := d.made(http.MethodGet); len(got) != 0 {
		t.Errorf("made %v", got)
	}
	d.get("keys?q=wave_live_0123").want(http.StatusOK, `value="wave_live_0123"`)
}

// A link of another site does not say that something was done, and offers nothing to
// be taken back: it would be done by whoever believes it.
func TestLinksOfOtherSitesSayNothingWasDone(t *testing.T) {
	user := `{"user": {"id": "usr_bob", "username": "bob", "roles": [], "policy_roles": []}}`
	d := peopleDesk(t, map[string]any{"GET /v1/auth/users/usr_bob": user})
	for from, said := range map[string]bool{"": true, "same-origin": true, "none": true, "cross-site": false, "same-site": false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/gate/_portal/users/usr_bob?done=user-enabled", http.NoBody)
		r.Header.Set("Sec-Fetch-Site", from)
		w := httptest.NewRecorder()
		if err := d.Serve(w, r, d.who); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(w.Body.String(), "The user is enabled") && strings.Contains(w.Body.String(), ">Undo<"); got != said {
			t.Errorf("from %q: said %v, want %v", from, got, said)
		}
	}
}
