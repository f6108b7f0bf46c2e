package manage

import (
	"testing"

	"wavegate/server/portal"
)

// The first line that somebody copies must not be refused for want of a scope.
func TestTheLineBesideANewKeyIsOneThatItOpens(t *testing.T) {
	d := newDesk(t, map[string]any{
		"GET /v1/auth/catalog": `{"scopes": [
			{"name": "streams:read", "endpoints": ["POST /v1/x", "GET other.example.com/v1/y", "GET /v1/streams/{id}", "GET /v1/streams"], "may_give": true},
			{"name": "keys:read", "endpoints": [], "of_server": true, "may_give": true}],
			"roles": [{"name": "viewer", "scopes": [], "permissions": ["keys:read", "status:read"]}, {"name": "caster", "scopes": ["streams:read"]}]}`,
	})
	for made, want := range map[string]string{
		`"scopes": ["streams:read"]`:                "https://gate.example.com/v1/streams&#39;",
		`"scopes": [], "role": "caster"`:            "https://gate.example.com/v1/streams&#39;",
		`"scopes": ["*"]`:                           "https://gate.example.com/v1/streams&#39;",
		`"scopes": [], "role": "viewer"`:            "https://gate.example.com/gate/v1/auth/status&#39;",
		`"scopes": ["keys:read", "status:read"]`:    "https://gate.example.com/gate/v1/auth/status&#39;",
		`"scopes": ["keys:read"]`:                   "",
		`"scopes": [], "role": "gone", "name": "x"`: "",
	} {
		d.api.answers["POST "+keysCall] = `{"api_key": {"id": "key_1", "key": "wave_live_1", ` + made + `}}`
		page := d.post("keys/new", d.get("keys/new").form("keys/new")).want(200, "wave_live_1", want)
		if want == "" {
			page.without("Try it")
		}
	}
	d.api.answers["GET /v1/auth/catalog"] = `{"scopes": []}` // then whatever there is is open to it
	d.post("keys/new", d.get("keys/new").form("keys/new")).want(200, "https://gate.example.com/&#39;")
}

func TestAKeysPageMovesFromTheFirstRequestOn(t *testing.T) {
	d := newDesk(t, map[string]any{
		"GET /v1/auth/keys/key_1": map[string]any{"api_key": portal.Key{ID: "key_1", Status: "active"}}, "GET /v1/auth/keys/key_1/refusals": `{"refusals": []}`,
	})
	d.get("keys/key_1").want(200, `<div id="live" data-live>`, `<div id="refused" data-live>`, "No requests in the last 24 hours.")
}

func TestCurlLinesAreWrittenForPeople(t *testing.T) {
	got := Call{Method: "POST", Path: "/x", Body: map[string]any{"name": "a & <b>"}}.Curl("https://gate.example.com")
	want := `curl 'https://gate.example.com/x' -H "Authorization: Bearer $WAVEGATE_KEY" -H 'Content-Type: application/json' -d '{"name": "a & <b>"}'`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestARotationSaysWhetherTheOldKeyStillWorks(t *testing.T) {
	for expires, want := range map[string]string{"2999-01-01T00:00:00Z": "The key before it works until", "2020-01-01T00:00:00Z": "opens nothing any more. Put the new one"} {
		d := newDesk(t, map[string]any{
			"GET /v1/auth/keys/key_1":         map[string]any{"api_key": portal.Key{ID: "key_1", Status: "active"}},
			"POST /v1/auth/keys/key_1/rotate": `{"new_key": {"id": "key_2", "key": "wave_live_2"}, "old_key": {"id": "key_1", "expires_at": "` + expires + `"}}`,
		})
		d.post("keys/key_1/rotate", d.get("keys/key_1/rotate").form("keys/key_1/rotate")).want(200, "wave_live_2", want)
	}
}

// The back button leads to a form that has nothing left to do.
func TestAKeyThatHasEndedIsNotEndedAgain(t *testing.T) {
	d := newDesk(t, map[string]any{
		"GET /v1/auth/keys/key_1": map[string]any{"api_key": portal.Key{ID: "key_1", Status: "revoked"}}, "GET /v1/auth/catalog": `{}`,
	})
	for _, page := range []string{"revoke", "edit", "rotate"} {
		d.get("keys/key_1/" + page).leads("keys/key_1")
	}
}

// What is somebody else's is in everybody's list, not in the administrator's own.
func TestCrumbsOfWhatIsSomebodyElsesLeadToEverybodys(t *testing.T) {
	for owner, want := range map[string]string{"sub:local|ann": `href="/gate/_portal/keys">`, "sub:local|bob": `href="/gate/_portal/keys?all=true"><bdi>All keys`} {
		d := newDesk(t, map[string]any{
			"GET /v1/auth/keys/key_1": map[string]any{"api_key": portal.Key{ID: "key_1", Status: "active", Owner: owner}}, "GET /v1/auth/keys/key_1/refusals": `{"refusals": []}`,
		}).admin()
		d.get("keys/key_1").want(200, `<ol class="crumbs"><li><a `+want)
	}
}
