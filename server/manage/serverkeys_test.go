package manage

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

const oneAccessKeyJSON = `{"access_keys": [{"id": "a/b", "roles": [], "scopes": ["*"], "listed": false, "source": "file", "in_use": true},
  {"id": "SETTING", "roles": ["viewer"], "scopes": ["a:read"], "listed": true, "source": "settings", "in_use": false}], "file": "keys/.wave-keychain"}`

// removalPath is the page that removes an access key.
func removalPath(id string) string { return portal.AccessKey{ID: id}.RemovePath() }

func TestAccessKeysAreListedWithWhatTheyOpen(t *testing.T) {
	page := newDesk(t, map[string]any{"GET /v1/auth/access-keys": oneAccessKeyJSON}).admin().get("access-keys")
	page.want(http.StatusOK, "a/b", "Everything", "the policy does not name it", "SETTING", "from the server’s settings", ">viewer<", "a:read",
		"keys/.wave-keychain", `href="/gate/_portal/`+removalPath("a/b")+`"`).without(removalPath("SETTING"))
	published := `{"access_keys": [{"id": "access_key_id", "roles": [], "scopes": ["*"], "listed": false, "source": "published", "in_use": false}], "file": "f"}`
	newDesk(t, map[string]any{"GET /v1/auth/access-keys": published}).admin().get("access-keys").
		want(http.StatusOK, "The published default key is in use", "New access key").without("<table")
	newDesk(t, map[string]any{"GET /v1/auth/access-keys": `{"access_keys": [], "file": "f"}`}).admin().get("access-keys").
		want(http.StatusOK, "Make the first access key")
}

func TestAnAccessKeyIsMadeAndShownOnce(t *testing.T) {
	made := `{"access_key": {"id": "it's", "secret": "S3CRET"}, "warning": "This is the only time. It may do everything."}`
	d := newDesk(t, map[string]any{"POST /v1/auth/access-keys": made, "GET /v1/auth/access-keys": oneAccessKeyJSON}).admin()
	form := d.get("access-keys/new").want(http.StatusOK).form("access-keys/new")
	page := d.post("access-keys/new", form).want(http.StatusOK, "S3CRET", "It may do everything.", "curl -u &#39;it&#39;\\&#39;&#39;s:S3CRET&#39;")
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	if _, body := d.last(http.MethodPost); body != `{}` {
		t.Errorf("sent %s where no ID was chosen", body)
	}
	d.post("access-keys/new", form).want(http.StatusOK, "sent twice").without("S3CRET")
	form = d.get("access-keys/new").form("access-keys/new")
	form.Set("id", " mine ")
	d.api.answers["POST /v1/auth/access-keys"] = &fault.Error{Status: http.StatusConflict, Code: "access_key_exists", Message: "There is one of this ID."}
	d.post("access-keys/new", form).want(http.StatusOK, `id="f-id-error" data-swap>There is one of this ID.`)
	if _, body := d.last(http.MethodPost); body != `{"id":"mine"}` {
		t.Errorf("sent %s", body)
	}
}

func TestAnAccessKeyIsRemovedByItsID(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/access-keys": oneAccessKeyJSON, "DELETE /v1/auth/access-keys": ""}).admin()
	form := d.get(removalPath("a/b")).want(http.StatusOK, "Remove this access key?").form(removalPath("a/b"))
	d.post(removalPath("a/b"), form).want(http.StatusOK, "That is not the name.")
	form.Set("confirm", "a/b")
	d.post(removalPath("a/b"), form).leads("access-keys?done=access-key-removed")
	if got := d.made(http.MethodDelete); len(got) != 1 {
		t.Errorf("made %v, want one call", got)
	}
	d.get(removalPath("nothing")).want(http.StatusNotFound)
	d.get(removalPath("a/b")).want(http.StatusOK).without("It is the only one")
	d.api.answers["GET /v1/auth/access-keys"] = `{"access_keys": [{"id": "last", "source": "file"}]}`
	d.get(removalPath("last")).want(http.StatusOK, "It is the only one")
}

func TestLocksAreListedAndLifted(t *testing.T) {
	now := time.Now()
	lock := map[string]any{"id": "lck_1", "kind": "key", "subject": "user:bob", "since": now, "until": now.Add(89*time.Second + 500*time.Millisecond)}
	d := newDesk(t, map[string]any{"GET /v1/auth/lockouts": map[string]any{"lockouts": []any{lock}}, "DELETE /v1/auth/lockouts/lck_1": ""})
	d.get("lockouts").want(http.StatusOK, "Keys of yours", ">bob<", "in 2 minutes", "data-live").without("Lift<span")
	page := d.admin().get("lockouts").want(http.StatusOK, "Addresses and keys")
	form := page.form("lockouts")
	d.post("lockouts", form).leads("lockouts?done=lock-lifted")
	delete(d.api.answers, "DELETE /v1/auth/lockouts/lck_1")
	d.post("lockouts", form).leads("lockouts?done=lock-lifted") // it ended meanwhile
	if got := d.made(http.MethodDelete); len(got) != 2 || got[0] != "/v1/auth/lockouts/lck_1" {
		t.Errorf("made %v", got)
	}
	d.post("lockouts", url.Values{"_as": {"usr_ann"}}).want(http.StatusOK, "does not say which lock")
	d.api.answers["GET /v1/auth/lockouts"] = `{"lockouts": []}`
	d.get("lockouts").want(http.StatusOK, "Nobody is locked out", "within 5 minutes")
}

func TestSigningKeysAreListedAndRotated(t *testing.T) {
	keys := `{"signing_keys": [{"kid": "k2", "alg": "ES256", "status": "next", "created_at": null, "used_from": "2026-12-01T08:00:00Z", "published_until": null},
		{"kid": "k1", "alg": "RS256", "status": "current", "created_at": null, "used_from": "2026-11-01T08:00:00Z", "published_until": null}]}`
	d := newDesk(t, map[string]any{"GET /v1/auth/signing-keys": keys, "POST /v1/auth/signing-keys/rotate": keys}).admin()
	d.get("signing-keys").want(http.StatusOK, "k2", "ES256", "Next", "Signs now", "Rotate now…")
	form := d.get("signing-keys/rotate").want(http.StatusOK, "stay valid until they expire").form("signing-keys/rotate")
	form.Set("confirm", "rotat")
	d.post("signing-keys/rotate", form).want(http.StatusOK, "That is not the word.")
	if got := d.made(http.MethodPost); len(got) != 0 {
		t.Errorf("%v was made without the word", got)
	}
	form.Set("confirm", "rotate")
	d.post("signing-keys/rotate", form).leads("signing-keys?done=signing-rotated")
	d.api.answers["GET /v1/auth/signing-keys"] = `{"signing_keys": []}`
	d.get("signing-keys").want(http.StatusOK, "No key signs tokens").without("Rotate now")
}
