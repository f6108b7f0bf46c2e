package manage

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wavegate/server/fault"
)

// waiting is a portal in which ann's form waits for her to sign in, and its cookie.
func waiting(t *testing.T) (d *testDesk, cookie string) {
	t.Helper()
	d = newDesk(t, map[string]any{"GET /v1/auth/catalog": `{"environments": ["live"]}`})
	form := d.get("keys/new").form("keys/new")
	form.Set("name", "build server")
	ann := d.who
	d.who = nil
	page := d.post("keys/new", form)
	if got := page.Header.Get("Location"); page.Status != http.StatusSeeOther || got != "/gate/_auth/login?next=%2Fgate%2F_portal%2Fresume" {
		t.Fatalf("%d to %s", page.Status, got)
	}
	d.who = ann
	return d, d.jar[DraftCookie]
}

func TestADraftIsShownOnceAndDoesNothing(t *testing.T) {
	d, _ := waiting(t)
	d.get("resume").want(http.StatusOK, `value="build server"`)
	d.get("resume").leads("?done=draft-lost")
	if got := d.made("POST"); got != nil {
		t.Errorf("it made %v", got)
	}
}

func TestADraftThatWasTamperedWithIsNothing(t *testing.T) {
	d, cookie := waiting(t)
	tampered := []string{"", "x", "====", cookie[:len(cookie)-4], cookie + "AAAA", strings.Repeat("A", 5000)}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		other := append([]byte(nil), sealed...)
		other[i] ^= 1
		tampered = append(tampered, base64.RawURLEncoding.EncodeToString(other))
	}
	for _, value := range tampered {
		d.jar[DraftCookie] = value
		d.get("resume").leads("?done=draft-lost").without("build server")
		if _, stays := d.jar[DraftCookie]; stays {
			t.Fatal("the cookie stays")
		}
	}
}

// seals puts a draft into the cookie as keep does, with another time or user.
func (d *testDesk) seals(kind string, v draft) {
	d.t.Helper()
	visit := &Visit{desk: d.Desk, w: discard{http.Header{}}, r: &http.Request{Header: http.Header{}, URL: &url.URL{}}, path: v.Path, Form: v.Form, now: time.Unix(v.At, 0)}
	if !visit.keep() {
		d.t.Fatal("it does not fit")
	}
	cookie, err := http.ParseSetCookie(visit.w.Header().Get("Set-Cookie"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.jar[DraftCookie] = cookie.Value
	if kind == draftKind {
		return
	}
	plain, err := json.Marshal(v)
	if err != nil {
		d.t.Fatal(err)
	}
	sealed, err := d.cfg.Drafts.Seal(kind, "", plain)
	if err != nil {
		d.t.Fatal(err)
	}
	d.jar[DraftCookie] = base64.RawURLEncoding.EncodeToString(sealed)
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestADraftIsForItsHourAndItsSender(t *testing.T) {
	now := time.Now()
	of := func(user string, at time.Time) draft {
		return draft{Path: "keys/new", Form: url.Values{asField: {user}, "name": {"build server"}}, At: at.Unix()}
	}
	for name, c := range map[string]struct {
		kind string
		draft
		shown bool
	}{
		"just now":         {draftKind, of("usr_ann", now), true},
		"almost an hour":   {draftKind, of("usr_ann", now.Add(-59*time.Minute)), true},
		"old":              {draftKind, of("usr_ann", now.Add(-61*time.Minute)), false},
		"somebody else’s":  {draftKind, of("usr_bob", now), false},
		"nobody’s":         {draftKind, of("", now), false},
		"of another kind":  {"session", of("usr_ann", now), false},
		"of a page gone":   {draftKind, draft{Path: "gone", Form: url.Values{asField: {"usr_ann"}}, At: now.Unix()}, false},
		"of a page of GET": {draftKind, draft{Path: "keys", Form: url.Values{asField: {"usr_ann"}}, At: now.Unix()}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, map[string]any{"GET /v1/auth/catalog": `{"environments": ["live"]}`})
			d.seals(c.kind, c.draft)
			page := d.get("resume")
			if got := strings.Contains(page.Body, "build server"); got != c.shown {
				t.Errorf("%d, shown: %v, want %v", page.Status, got, c.shown)
			}
			if got := d.made("POST"); got != nil {
				t.Errorf("it made %v", got)
			}
		})
	}
}

// A form that asks for a fresh login is kept as one of somebody who was signed out.
func TestADangerousActLeadsToAFreshLogin(t *testing.T) {
	d := newDesk(t, map[string]any{
		"GET /v1/auth/keys/key_1":    oneKeyJSON,
		"DELETE /v1/auth/keys/key_1": fault.New(http.StatusForbidden, "fresh_login_required", "Sign in again."),
	})
	form := d.get("keys/key_1/revoke").form("keys/key_1/revoke")
	form.Set("confirm", "build server")
	page := d.post("keys/key_1/revoke", form)
	if got, want := page.Header.Get("Location"), "/gate/_auth/login?next=%2Fgate%2F_portal%2Fresume&switch=1"; page.Status != http.StatusSeeOther || got != want {
		t.Fatalf("%d to %s, want %s", page.Status, got, want)
	}
	d.api.answers["DELETE /v1/auth/keys/key_1"] = ""
	again := d.get("resume").want(http.StatusOK, "Everything that you typed")
	d.post("keys/key_1/revoke", again.form("keys/key_1/revoke")).leads("keys/key_1?done=key-revoked")
}
