package manage

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// accessKeyPages are about the keys of the keychain file.
func (d *Desk) accessKeyPages() pages {
	return pages{
		"GET /access-keys":              d.accessKeys,
		"GET /access-keys/new":          d.newAccessKey,
		"POST /access-keys/new":         d.newAccessKey,
		"GET /access-keys/{id}/remove":  d.removeAccessKey,
		"POST /access-keys/{id}/remove": d.removeAccessKey,
	}
}

const accessKeysCall = "/v1/auth/access-keys"

var accessKeysAbove = []portal.Link{{Name: "Access keys", Path: "access-keys"}}

// keychain asks for the access keys that work now, and where they are kept.
func (v *Visit) keychain() (keys []portal.AccessKey, file string, err error) {
	var list struct {
		Keys []portal.AccessKey `json:"access_keys"`
		File string             `json:"file"`
	}
	err = v.Shown(accessKeysCall, nil, &list)
	return list.Keys, list.File, err
}

// accessKeys lists the access keys.
func (d *Desk) accessKeys(v *Visit) error {
	keys, file, err := v.keychain()
	if err != nil {
		return err
	}
	all := len(keys)
	keys = slices.DeleteFunc(keys, func(k portal.AccessKey) bool { return k.Source == "published" })
	view := portal.AccessKeysPage{Keys: keys, File: file, None: portal.Empty{
		Icon: "key", Title: "Make the first access key",
		Words: "Apps and scripts show an access key, an ID and a secret, with each request. Nobody gets in with one yet.",
		Link:  &portal.Button{Name: "New access key", URL: v.URL("access-keys/new")},
	}}
	if len(keys) < all {
		view.None.Title = "The published default key is in use"
		view.None.Words = "Everybody knows it, from the documentation. It works from this server’s own machine alone, and ends as soon as there is a key of your own."
	}
	return v.Page(portal.Frame{Title: "Access keys", Lead: "What apps and scripts of this server show instead of a sign-in.", Wide: true}, view)
}

// newAccessKey adds a key to the keychain.
func (d *Desk) newAccessKey(v *Visit) error {
	if _, _, err := v.keychain(); err != nil { // whoever may not see them is not shown a form
		return err
	}
	view := portal.AccessKeyFormPage{Form: v.NewForm("access-keys/new", nil)}
	body := map[string]string{}
	if id := strings.TrimSpace(view.Form.Get("id")); id != "" {
		body["id"] = id
	}
	var made struct {
		Key     portal.AccessKey `json:"access_key"`
		Warning string           `json:"warning"`
	}
	done, err := v.Act(&view.Form, Call{Method: http.MethodPost, Path: accessKeysCall, Body: body}, &made)
	if err != nil {
		return err
	}
	if !done {
		return v.Page(portal.Frame{Title: "New access key", Back: accessKeysAbove, Curl: view.Form.Curl}, view)
	}
	return v.Page(portal.Frame{Title: "The access key is made", Back: accessKeysAbove}, portal.AccessKeyMadePage{
		ID: made.Key.ID, Secret: portal.Secret{
			Title: "Copy the secret now", Words: made.Warning, Secret: made.Key.Secret, Label: "the secret",
			Try: "curl -u " + quote(made.Key.ID+":"+made.Key.Secret) + " " + quote(v.desk.cfg.Origin(v.r)+"/v1/auth/status"),
		},
	})
}

// removeAccessKey takes a key out of the keychain, once its ID was typed.
func (d *Desk) removeAccessKey(v *Visit) error {
	keys, _, err := v.keychain()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k portal.AccessKey) bool { return k.RemovePath() == v.path })
	if i < 0 {
		return fault.NotFound()
	}
	id := keys[i].ID
	view := portal.ConfirmPage{
		Form: v.NewForm(v.path, nil), Confirm: id, Button: "Remove the key", Cancel: "access-keys",
		Words: []string{
			"Whoever shows it is refused from that moment on. Their requests under way end.",
			"It cannot be brought back. Give those who need one another key first.",
			"API keys that were made with it go on.",
		},
	}
	if len(keys) == 1 {
		view.Words = append(view.Words, "It is the only one: nobody gets in with an access key then.")
	}
	done, err := v.ActConfirmed(&view, Call{Method: http.MethodDelete, Path: accessKeysCall, Query: url.Values{"id": {id}}})
	if err != nil {
		return err
	}
	if done {
		return v.Go("access-keys", "access-key-removed")
	}
	return v.Page(portal.Frame{Title: "Remove this access key?", Back: accessKeysAbove, Curl: view.Form.Curl}, view)
}
