package manage

import (
	"net/http"
	"net/url"
	"strings"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/portal"
)

// keyPages are about API keys.
func (d *Desk) keyPages() pages {
	return pages{
		"GET /keys":              d.keys,
		"GET /keys/new":          d.newKey,
		"POST /keys/new":         d.newKey,
		"GET /keys/{id}":         d.key,
		"GET /keys/{id}/edit":    d.editKey,
		"POST /keys/{id}/edit":   d.editKey,
		"GET /keys/{id}/rotate":  d.rotateKey,
		"POST /keys/{id}/rotate": d.rotateKey,
		"GET /keys/{id}/revoke":  d.revokeKey,
		"POST /keys/{id}/revoke": d.revokeKey,
	}
}

const keysCall = "/v1/auth/keys"

func keyCall(id string) string { return keysCall + "/" + url.PathEscape(id) }

// keys lists keys. Who looks for a whole key finds it by how it begins.
func (d *Desk) keys(v *Visit) error {
	asked := v.r.URL.Query()
	if search := asked.Get("q"); apikey.Holds(search) { // no address is a place for a key
		parts, _ := apikey.Parse(strings.TrimSpace(search))
		asked.Set("q", parts.Prefix)
		return v.Go("keys?"+asked.Encode(), "")
	}
	q := url.Values{"limit": {"50"}}
	for _, name := range []string{"q", "environment", "status", "owner", "sort", "order", "cursor", "all"} {
		if value := asked.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	var list struct {
		Keys []portal.Key `json:"api_keys"`
		Next string       `json:"next_cursor"`
	}
	err := v.Shown(keysCall, q, &list)
	if err != nil {
		return err
	}
	view := portal.KeysPage{
		Keys: list.Keys, Search: asked.Get("q"), Owners: v.All(),
		Filter: portal.KeyFilter{Environment: asked.Get("environment"), Status: asked.Get("status"), Owner: asked.Get("owner")},
		Sort:   v.sort("created_at", "desc"), Paging: v.paging(list.Next),
	}
	if view.Sparks, err = v.sparks("key"); err != nil {
		return err
	}
	view.None = v.noKeys(view.Narrowed())
	title := "API keys"
	if v.All() {
		title = "All keys"
	}
	return v.Page(portal.Frame{Title: title, Wide: true}, view)
}

// noKeys stands where the list is empty.
func (v *Visit) noKeys(narrowed bool) portal.Empty {
	switch {
	case narrowed:
		return portal.Empty{Icon: "key", Title: "No key fits", Words: "Search for something else, or choose all environments and any status."}
	case v.All():
		return portal.Empty{Icon: "key", Title: "Nobody has a key yet", Words: "Keys that people make here or with the API appear in this list."}
	}
	return portal.Empty{
		Icon: "key", Title: "Make your first key",
		Words: "Programs send an API key with each request, as “Authorization: Bearer wave_live_…”. A key opens what its scopes say, until it expires or you revoke it.",
		Link:  &portal.Button{Name: "New key", URL: v.URL("keys/new")},
	}
}

// sort reads how a table is to be ordered.
func (v *Visit) sort(by, order string) portal.Sort {
	q := v.r.URL.Query()
	s := portal.Sort{By: q.Get("sort"), Order: q.Get("order"), Query: q, Path: v.desk.cfg.Base + v.path}
	if s.By == "" {
		s.By, s.Order = by, order
	}
	return s
}

// paging leads on to the next page of a list, and back to the first.
func (v *Visit) paging(next string) (p portal.Paging) {
	q := v.r.URL.Query()
	here := v.desk.cfg.Base + v.path
	q.Del("done")
	if q.Has("cursor") {
		q.Del("cursor")
		p.First = here + "?" + q.Encode()
	}
	if next != "" {
		q.Set("cursor", next)
		p.Next = here + "?" + q.Encode()
	}
	return p
}

// oneKey asks for a key.
func (v *Visit) oneKey() (portal.Key, error) {
	var answer struct {
		Key portal.Key `json:"api_key"`
	}
	id := v.ID("id")
	if !strings.HasPrefix(id, "key_") {
		return answer.Key, fault.NotFound() // another call may have this path, such as the export
	}
	err := v.Shown(keyCall(id), nil, &answer)
	return answer.Key, err
}

// key shows one key.
func (d *Desk) key(v *Visit) error {
	key, err := v.oneKey()
	if err != nil {
		return err
	}
	var refused struct {
		Refusals []portal.Refusal `json:"refusals"`
	}
	if err := v.Get(keyCall(key.ID)+"/refusals", nil, &refused); err != nil && fault.From(err).Status != http.StatusNotFound {
		return err
	}
	chart, err := v.chartOf("key", key.ID)
	if err != nil {
		return err
	}
	return v.Page(portal.Frame{Title: key.Name, Back: v.aboveKey(&key)}, portal.KeyPage{Key: key, Refusals: refused.Refusals, Usage: chart})
}

var keysAbove = []portal.Link{{Name: "API keys", Path: "keys"}}

// above is the list that something is in: one's own, or everybody's where it is
// somebody else's. own leads to the former, all names the latter.
func (v *Visit) above(own []portal.Link, all, owner string) []portal.Link {
	who, err := v.whoami()
	if err != nil || !who.Admin || owner == "" || owner == who.Owner {
		return own
	}
	return []portal.Link{{Name: all, Path: own[0].Path + "?all=true"}}
}

func (v *Visit) aboveKey(key *portal.Key) []portal.Link {
	return v.above(keysAbove, "All keys", key.Owner)
}

func (v *Visit) keyAbove(key *portal.Key) []portal.Link {
	return append(v.aboveKey(key)[:1:1], portal.Link{Name: key.Name, Path: "keys/" + key.ID})
}

// revokeKey ends a key, once its name was typed.
func (d *Desk) revokeKey(v *Visit) error {
	key, err := v.oneKey()
	if err != nil {
		return err
	}
	if !key.Working() && !v.Acts() {
		return v.Go("keys/"+key.ID, "") // its page says why there is nothing to do
	}
	view := portal.ConfirmPage{
		Form: v.NewForm("keys/"+key.ID+"/revoke", nil), Confirm: key.Name, Button: "Revoke the key", Cancel: "keys/" + key.ID,
		Words: []string{"Requests with this key are refused from that moment on, and those under way end.", "It cannot be brought back."},
	}
	c := Call{Method: http.MethodDelete, Path: keyCall(key.ID)}
	done, err := v.ActConfirmed(&view, c)
	if err != nil {
		return err
	}
	if done {
		return v.Go("keys/"+key.ID, "key-revoked")
	}
	return v.Page(portal.Frame{Title: "Revoke this key?", Back: v.keyAbove(&key), Curl: view.Form.Curl}, view)
}

// ActConfirmed is Act for a page where a name has to be typed first.
func (v *Visit) ActConfirmed(view *portal.ConfirmPage, c Call) (bool, error) {
	if v.Acts() && view.Confirm != "" && strings.TrimSpace(v.Form.Get("confirm")) != strings.TrimSpace(view.Confirm) {
		view.Form.Curl = v.Curl(c)
		view.Form.Errors = map[string]string{"confirm": "That is not the name. Type it as it stands here, or go back."}
		return false, nil
	}
	return v.Act(&view.Form, c, nil)
}
