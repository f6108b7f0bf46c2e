package manage

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"wavegate/server/portal"
)

// keyBody is the body of the calls that make and change a key, as the form says it.
type keyBody map[string]any

// keyFields reads the form of a key. For a change, what was emptied is null.
func (v *Visit) keyFields(change bool) keyBody {
	body := keyBody{"name": v.Form.Get("name")}
	set := func(field string, value any, given bool) {
		switch {
		case given:
			body[field] = value
		case change:
			body[field] = nil
		}
	}
	text := func(name string) string { return strings.TrimSpace(v.Form.Get(name)) }
	for _, name := range []string{"description", "role", "rate_limit_tier"} {
		set(name, text(name), text(name) != "")
	}
	scopes := v.Form["scopes"]
	if len(scopes) > 0 || change || text("role") != "" {
		body["scopes"] = append([]string{}, scopes...)
	}
	ips := strings.FieldsFunc(v.Form.Get("allowed_ips"), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ' ' || r == '\t' })
	set("allowed_ips", ips, len(ips) > 0)
	set("metadata", object(text("metadata")), text("metadata") != "")
	set("ops_limit", number(text("ops_limit")), text("ops_limit") != "")
	budget := keyBody{}
	for _, name := range []string{"operations_per_day", "operations_per_month"} {
		if text(name) != "" {
			budget[name] = number(text(name))
		}
	}
	set("budget", budget, len(budget) > 0)
	v.lifetime(body)
	return body
}

// number is a number where a text is one, and else the text: the API says what is
// wrong with it.
func number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return text
}

// object is JSON where a text is some, and else the text, as with number.
func object(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// lifetime reads when the key is to end.
func (v *Visit) lifetime(body keyBody) {
	switch life := v.Form.Get("lifetime"); life {
	case "":
	case "never":
		body["expires_at"] = nil
	case "at":
		body["expires_at"] = v.Form.Get("expires_at") + "T23:59:59Z"
	default:
		body["expires_in_days"] = number(life)
	}
}

// catalog asks what can be chosen from.
func (v *Visit) catalog() (c portal.Catalog, err error) {
	err = v.Get("/v1/auth/catalog", nil, &c)
	return c, err
}

// newKey makes a key.
func (d *Desk) newKey(v *Visit) error {
	catalog, err := v.catalog()
	if err != nil {
		return err
	}
	view := portal.KeyFormPage{Catalog: catalog, Form: v.NewForm("keys/new", map[string][]string{"environment": {"live"}, "lifetime": {"90"}})}
	body := keyBody{"name": "my key", "scopes": []string{}}
	if v.Form != nil {
		body = v.keyFields(false)
		body["environment"] = v.Form.Get("environment")
	}
	var made struct {
		Key      portal.Key `json:"api_key"`
		Replayed bool       `json:"replayed"`
	}
	done, err := v.Act(&view.Form, Call{Method: http.MethodPost, Path: keysCall, Body: body, Once: view.Form.Once}, &made)
	if err != nil {
		return err
	}
	if !done {
		return v.Page(portal.Frame{Title: "New key", Back: keysAbove, Curl: view.Form.Curl}, view)
	}
	return v.keyMade(&made.Key, nil, catalog)
}

// keyMade shows a new key, the only time.
func (v *Visit) keyMade(key, before *portal.Key, catalog portal.Catalog) error {
	view := portal.KeyMadePage{Key: *key, Before: before, Secret: portal.Secret{
		Title: "Copy the key now", Words: "This is the only time that it is shown. Keep it where secrets are kept.", Secret: key.Secret, Label: "the key",
	}}
	if address := v.opened(key, catalog); address != "" {
		view.Secret.Try = "curl " + quote(address) + " -H " + quote("Authorization: Bearer "+key.Secret)
	}
	return v.Page(portal.Frame{Title: key.Name, Back: v.aboveKey(key)}, view)
}

// opened is an address that the key opens, for a first request that is not refused:
// one of the apps behind, or who one is for this server itself. Without scopes in the
// policy it is the root; "" is for a key of which nothing of the kind is known.
func (v *Visit) opened(key *portal.Key, catalog portal.Catalog) string {
	role := catalog.Role(key.Role)
	origin := v.desk.cfg.Origin(v.r)
	apps := strings.TrimSuffix(origin, strings.TrimSuffix(v.desk.cfg.Base, "/_portal/")) // they are not below the base URL
	if path := catalog.Opened(append(role.Scopes[:len(role.Scopes):len(role.Scopes)], key.Scopes...)); path != "" {
		return apps + path
	}
	for _, held := range append(role.Permissions[:len(role.Permissions):len(role.Permissions)], key.Scopes...) {
		if held == "status:read" || held == "*" {
			return origin + "/v1/auth/status"
		}
	}
	if slices.ContainsFunc(catalog.Scopes, func(s portal.CatalogScope) bool { return !s.OfServer }) {
		return ""
	}
	return apps + "/"
}

// editKey changes a key.
func (d *Desk) editKey(v *Visit) error {
	key, err := v.oneKey()
	if err != nil {
		return err
	}
	if !key.Working() && !v.Acts() {
		return v.Go("keys/"+key.ID, "") // its page says why there is nothing to do
	}
	catalog, err := v.catalog()
	if err != nil {
		return err
	}
	view := portal.KeyFormPage{Catalog: catalog, Key: &key, Form: v.NewForm("keys/"+key.ID+"/edit", keyValues(&key))}
	if view.Form.Version == "" {
		view.Form.Version = strconv.FormatInt(key.Version, 10)
	}
	body := keyBody{"name": key.Name}
	if v.Form != nil {
		body = v.keyFields(true)
	}
	done, err := v.Act(&view.Form, Call{Method: http.MethodPatch, Path: keyCall(key.ID), Body: body, Match: view.Form.Version}, nil)
	if err != nil {
		return err
	}
	if done {
		return v.Go("keys/"+key.ID, "saved")
	}
	if view.Form.Changed {
		view.Now, view.Form.Version = &key, strconv.FormatInt(key.Version, 10)
	}
	return v.Page(portal.Frame{Title: "Edit the key", Back: v.keyAbove(&key), Curl: view.Form.Curl}, view)
}

// keyValues are the fields of a key as its form shows them.
func keyValues(k *portal.Key) map[string][]string {
	values := map[string][]string{
		"name": {k.Name}, "description": {k.Description}, "role": {k.Role}, "scopes": k.Scopes, "allowed_ips": k.AllowedIPs, "rate_limit_tier": {k.Tier},
	}
	set := func(name string, n int64) {
		if n > 0 {
			values[name] = []string{strconv.FormatInt(n, 10)}
		}
	}
	set("ops_limit", k.OpsLimit)
	if k.Budget != nil {
		set("operations_per_day", k.Budget.PerDay)
		set("operations_per_month", k.Budget.PerMonth)
	}
	if len(k.Metadata) > len("{}") {
		values["metadata"] = []string{string(k.Metadata)}
	}
	return values
}

// rotateKey replaces a key by a new one.
func (d *Desk) rotateKey(v *Visit) error {
	key, err := v.oneKey()
	if err != nil {
		return err
	}
	if !key.Working() && !v.Acts() {
		return v.Go("keys/"+key.ID, "") // its page says why there is nothing to do
	}
	view := portal.KeyRotatePage{Key: key, Form: v.NewForm("keys/"+key.ID+"/rotate", map[string][]string{"grace_period_hours": {"24"}})}
	var done struct {
		New portal.Key `json:"new_key"`
		Old portal.Key `json:"old_key"`
	}
	c := Call{Method: http.MethodPost, Path: keyCall(key.ID) + "/rotate", Once: view.Form.Once, Body: keyBody{"grace_period_hours": number(view.Form.Get("grace_period_hours"))}}
	ok, err := v.Act(&view.Form, c, &done)
	if err != nil {
		return err
	}
	if !ok {
		return v.Page(portal.Frame{
			Title: "Rotate this key", Back: v.keyAbove(&key), Curl: view.Form.Curl,
			Lead: "You get a new key with the same scopes. The old one works on for a while, so that nothing breaks meanwhile.",
		}, view)
	}
	catalog, err := v.catalog()
	if err != nil {
		catalog = portal.Catalog{} // the key is made: it has to be shown now, with a line that fits less
	}
	if done.Old.ExpiresAt.After(time.Now()) { // later than v.now, which was before the call
		done.Old.Status = "deprecated"
	}
	return v.keyMade(&done.New, &done.Old, catalog)
}
