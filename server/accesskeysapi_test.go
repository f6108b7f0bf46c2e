package server

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
)

const accessKeysPath = "/v1/auth/access-keys"

// accessKeysIn are the keys of a list, by ID.
func accessKeysIn(t *testing.T, a answer) map[string]map[string]any {
	t.Helper()
	list, _ := a.want(t, 200, "").at(t, "access_keys").([]any)
	of := map[string]map[string]any{}
	for _, k := range list {
		of[mapOf(k)["id"].(string)] = mapOf(k)
	}
	return of
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func TestAccessKeyMadeByTheAPIWorksAtOnceAndEndsAtOnce(t *testing.T) {
	t.Parallel()
	m := issue(t)
	before := contentOf(t, m.cfg.Keychain.Path)
	a := m.as("root", "POST", accessKeysPath, "").want(t, 201, "")
	id, secret := a.text(t, "access_key.id"), a.text(t, "access_key.secret")
	if len(id) != 20 || len(secret) != 40 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("an ID of %d and a secret of %d characters, Cache-Control %q", len(id), len(secret), a.Header.Get("Cache-Control"))
	}
	if w := a.text(t, "warning"); w != noteOnce+noteAll {
		t.Errorf("warning %q", w)
	}
	headers := []string{"Authorization", basic(id, secret)}
	m.do("GET", "/v1/streams", "", headers...).want(t, 200, "")
	file := contentOf(t, m.cfg.Keychain.Path)
	hash, _, _ := strings.Cut(strings.TrimPrefix(file, before+id+":"), "\n")
	if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost != bcrypt.DefaultCost || strings.Contains(file, secret) {
		t.Errorf("the file holds a hash of cost %d (%v), or the secret", cost, err)
	}
	want := map[string]any{"id": id, "roles": []any{}, "scopes": []any{"*"}, "listed": false, "source": "file", "in_use": true}
	if diff := cmp.Diff(want, accessKeysIn(t, m.as("root", "GET", accessKeysPath, ""))[id]); diff != "" {
		t.Errorf("in the list (-want +got):\n%s", diff)
	}
	stream := m.streamAs(headers[1])
	m.as("root", "DELETE", accessKeysPath+"/"+id, "").want(t, 204, "")
	m.do("GET", "/v1/streams", "", headers...).want(t, 401, "invalid_access_key")
	stream.ended("the key was removed")
	m.as("root", "DELETE", accessKeysPath+"/"+id, "").want(t, 404, "not_found")
	if got := contentOf(t, m.cfg.Keychain.Path); got != before {
		t.Errorf("the file is not as it was:\n%s", got)
	}
	for action, n := range map[string]int{"access_key.create": 1, "access_key.remove": 1} {
		if got := m.audited(action, id); got != n {
			t.Errorf("%s: %d entries, want %d", action, got, n)
		}
	}
	if strings.Contains(m.log.String(), secret) || strings.Contains(m.as("root", "GET", "/v1/auth/audit", "").body, secret) {
		t.Error("the secret is in the log or the audit log")
	}
}

func TestAccessKeysSayWhatThePolicySaysOfThem(t *testing.T) {
	t.Parallel()
	m := issue(t)
	a := m.as("root", "GET", accessKeysPath, "")
	if got := a.text(t, "file"); got != m.cfg.Keychain.Path {
		t.Errorf("file %q", got)
	}
	got := accessKeysIn(t, a)
	for id, want := range map[string]map[string]any{
		"root":    {"id": "root", "roles": []any{}, "scopes": []any{"*"}, "listed": false, "source": "file", "in_use": true},
		"all":     {"id": "all", "roles": []any{}, "scopes": []any{"*"}, "listed": false, "source": "file", "in_use": false},
		"narrow":  {"id": "narrow", "roles": []any{}, "scopes": []any{"streams:read"}, "listed": true, "source": "file", "in_use": false},
		"watcher": {"id": "watcher", "roles": []any{"viewer"}, "scopes": []any{"streams:read"}, "listed": true, "source": "file", "in_use": false},
	} {
		if diff := cmp.Diff(want, got[id]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d keys", len(got))
	}
	made := m.as("root", "POST", accessKeysPath, `{"id": "narrow2"}`).want(t, 201, "")
	if w := made.text(t, "warning"); !strings.Contains(w, noteAll) {
		t.Errorf("the policy does not name it, and the warning is %q", w)
	}
}

func TestAccessKeysOfSettingsAndTheOneThatAsksStay(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.Keychain.ID, c.Keychain.Secret = "flags", "secret" })
	if got := accessKeysIn(t, m.as("root", "GET", accessKeysPath, ""))["flags"]; got["source"] != "settings" {
		t.Errorf("the key of the settings: %v", got)
	}
	m.try([]try{
		{"root", "DELETE", accessKeysPath + "/flags", "", 409, "access_key_in_settings", []string{"-access-key-id"}, nil},
		{"root", "DELETE", accessKeysPath + "/root", "", 409, "own_access_key", nil, nil},
		{"root", "DELETE", accessKeysPath + "/ALL", "", 404, "not_found", nil, nil},
		{"root", "DELETE", accessKeysPath + "?id=flags", "", 409, "access_key_in_settings", nil, nil},
		{"root", "DELETE", accessKeysPath + "?id=root", "", 409, "own_access_key", nil, nil},
		{"root", "DELETE", accessKeysPath + "?id=none", "", 404, "not_found", nil, nil},
		{"root", "DELETE", accessKeysPath, "", 400, "invalid_request", []string{`"field":"id"`}, nil},
		{"root", "DELETE", accessKeysPath + "?key=all", "", 400, "invalid_request", []string{`"field":"key"`}, nil},
		{"all", "DELETE", accessKeysPath + "?id=narrow", "", 403, "insufficient_role", nil, nil},
		{"root", "POST", accessKeysPath, `{"id": "flags"}`, 409, "access_key_exists", nil, nil},
		{"root", "POST", accessKeysPath, `{"id": "all"}`, 409, "access_key_exists", nil, nil},
		{"root", "POST", accessKeysPath, `{"id": "a:hidden"}`, 400, "invalid_request", []string{`"field":"id"`, "holds a ':'"}, []string{"hidden"}},
		{"root", "POST", accessKeysPath, `{"id": " a"}`, 400, "invalid_request", []string{`"field":"id"`}, nil},
		{"root", "POST", accessKeysPath, `{"id": "` + strings.Repeat("x", 10_000) + `"}`, 400, "invalid_request", []string{"longer than"}, []string{"xxx"}},
		{"root", "POST", accessKeysPath, `{"secret": "x"}`, 400, "invalid_request", []string{`"field":"secret"`}, nil},
		{"root", "POST", accessKeysPath, `{"id": 1}`, 400, "invalid_request", []string{`"field":"id"`}, nil},
	})
	plain := m.as("root", "POST", accessKeysPath, `{"id": "jane doe"}`).want(t, 201, "").text(t, "access_key.secret")
	m.as("root", "DELETE", accessKeysPath+"/jane%20doe", "").want(t, 204, "")
	m.do("GET", "/v1/streams", "", "Authorization", basic("jane doe", plain)).want(t, 401, "invalid_access_key")
	for _, id := range []string{"jane doe", "a/b", "50%", "a%41", "?x=y", "ключ"} {
		secret := m.as("root", "POST", accessKeysPath, `{"id": "`+id+`"}`).want(t, 201, "").text(t, "access_key.secret")
		m.do("GET", "/v1/streams", "", "Authorization", basic(id, secret)).want(t, 200, "")
		m.as("root", "DELETE", accessKeysPath+"?id="+url.QueryEscape(id), "").want(t, 204, "")
		m.do("GET", "/v1/streams", "", "Authorization", basic(id, secret)).want(t, 401, "invalid_access_key")
	}
}

func TestFirstAccessKeyEndsThePublishedOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keychain")
	m := issue(t, func(c *Config) {
		c.Keychain = keychain.Config{Path: path}
		c.Admins = append(c.Admins, "key:"+keychain.DefaultID)
	})
	published := []string{"Authorization", basic(keychain.DefaultID, keychain.DefaultSecret)}
	if got := accessKeysIn(t, m.call("GET", accessKeysPath, "", published...))[keychain.DefaultID]; got["source"] != "published" {
		t.Errorf("the published key: %v", got)
	}
	m.call("DELETE", accessKeysPath+"/"+keychain.DefaultID, "", published...).want(t, 409, "own_access_key")
	a := m.call("POST", accessKeysPath, `{"id": "root"}`, published...).want(t, 201, "")
	if w := a.text(t, "warning"); !strings.HasSuffix(w, notePublished) {
		t.Errorf("warning %q", w)
	}
	m.call("GET", accessKeysPath, "", published...).want(t, 401, "invalid_access_key")
	headers := []string{"Authorization", basic("root", a.text(t, "access_key.secret"))}
	if got := accessKeysIn(t, m.call("GET", accessKeysPath, "", headers...)); len(got) != 1 || got["root"] == nil {
		t.Errorf("keys %v", got)
	}
	again := m.call("POST", accessKeysPath, "", headers...).want(t, 201, "")
	if w := again.text(t, "warning"); strings.Contains(w, notePublished) {
		t.Errorf("the second key's warning: %q", w)
	}
}

func TestAccessKeysAreForAdministratorsAlone(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.Admins = append(c.Admins, "local|ann") })
	ann, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	before := contentOf(t, m.cfg.Keychain.Path)
	key := m.as("root", "POST", "/v1/auth/keys", `{"name":"k","scopes":["*"]}`).want(t, 201, "").text(t, "api_key.key")
	for what, headers := range map[string][]string{
		"an access key": by("all"), "an administrator's API key": by(key), "an administrator's session token": by(ann.token()), "somebody": {"Cookie", bob.cookies()},
	} {
		for _, c := range [][3]string{{"GET", accessKeysPath, ""}, {"POST", accessKeysPath, "{}"}, {"DELETE", accessKeysPath + "/narrow", ""}} {
			if a := m.call(c[0], c[1], c[2], headers...).want(t, 403, "insufficient_role"); strings.Contains(a.body, "narrow") {
				t.Errorf("%s: %s", what, a.body)
			}
		}
	}
	m.call("POST", accessKeysPath, "{}").want(t, 401, "credential_required")
	m.checked(ann.api("POST", accessKeysPath, "{}", "Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	m.checked(ann.api("DELETE", accessKeysPath+"/narrow", "", "Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	if got := contentOf(t, m.cfg.Keychain.Path); got != before {
		t.Error("the keychain was changed")
	}
	m.checked(ann.api("DELETE", accessKeysPath+"/root", "", "Sec-Fetch-Site", "same-origin")).want(t, 204, "")
	m.as("root", "GET", accessKeysPath, "").want(t, 401, "invalid_access_key")
}

func TestRacingAccessKeysOfOneIDAreOne(t *testing.T) {
	t.Parallel()
	m := issue(t)
	statuses, _ := race(6, func() answer { return m.do("POST", accessKeysPath, `{"id":"same"}`, by("root")...) })
	if statuses[201] != 1 || statuses[409] != 5 {
		t.Errorf("made: %v", statuses)
	}
	statuses, _ = race(6, func() answer { return m.do("DELETE", accessKeysPath+"/same", "", by("root")...) })
	if statuses[204] < 1 || statuses[204]+statuses[404] != 6 {
		t.Errorf("removed: %v", statuses)
	}
}

// TestBrokenKeychainIsLeftAlone: what somebody meant is not written over.
func TestBrokenKeychainIsLeftAlone(t *testing.T) {
	t.Parallel()
	m := issue(t)
	f, err := os.OpenFile(m.cfg.Keychain.Path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("broken line\n")
	must(t, err)
	must(t, f.Close())
	broken := contentOf(t, m.cfg.Keychain.Path)
	m.as("root", "POST", accessKeysPath, "").want(t, 500, "internal")
	m.as("root", "DELETE", accessKeysPath+"/narrow", "").want(t, 500, "internal")
	if got := contentOf(t, m.cfg.Keychain.Path); got != broken {
		t.Error("the file was changed")
	}
	m.do("GET", "/v1/streams", "", by("narrow")...).want(t, 200, "")
	if n := m.audited("access_key.remove", "narrow"); n != 0 {
		t.Errorf("%d removals in the audit log", n)
	}
}
