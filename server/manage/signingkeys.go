package manage

import (
	"net/http"

	"wavegate/server/portal"
)

// signingKeyPages are about the keys that sign tokens.
func (d *Desk) signingKeyPages() pages {
	return pages{
		"GET /signing-keys":         d.signingKeys,
		"GET /signing-keys/rotate":  d.rotateSigningKeys,
		"POST /signing-keys/rotate": d.rotateSigningKeys,
	}
}

const signingKeysCall = "/v1/auth/signing-keys"

// signingKeys asks for the keys that sign tokens.
func (v *Visit) signingKeys() ([]portal.SigningKey, error) {
	var list struct {
		Keys []portal.SigningKey `json:"signing_keys"`
	}
	err := v.Shown(signingKeysCall, nil, &list)
	return list.Keys, err
}

// signingKeys lists the keys that sign tokens.
func (d *Desk) signingKeys(v *Visit) error {
	keys, err := v.signingKeys()
	if err != nil {
		return err
	}
	return v.Page(portal.Frame{
		Title: "Signing keys", Lead: "Tokens for apps are signed with these. The server makes new ones by itself, in good time.", Wide: true,
	}, portal.SigningKeysPage{Keys: keys, None: portal.Empty{
		Icon: "sign", Title: "No key signs tokens", Words: "The server makes keys of its own once it gives tokens to apps: it needs to know its own address for that (--public-url).",
	}})
}

// rotateWord is what is typed before all signing keys are replaced.
const rotateWord = "rotate"

// rotateSigningKeys makes new keys that sign from now on.
func (d *Desk) rotateSigningKeys(v *Visit) error {
	if _, err := v.signingKeys(); err != nil { // whoever may not see them is not asked
		return err
	}
	view := portal.ConfirmPage{
		Form: v.NewForm("signing-keys/rotate", nil), Confirm: rotateWord, Button: "Rotate the keys", Cancel: "signing-keys",
		Words: []string{
			"New keys sign from that moment on. Do it when somebody may know a key; otherwise the server does it by itself.",
			"Tokens that are out stay valid until they expire: what signed them stays published for as long.",
			"Apps that check tokens fetch the new keys by themselves. One that doesn’t refuses new tokens until it does.",
		},
	}
	done, err := v.ActConfirmed(&view, Call{Method: http.MethodPost, Path: signingKeysCall + "/rotate"})
	if err != nil {
		return err
	}
	if done {
		return v.Go("signing-keys", "signing-rotated")
	}
	if view.Form.Errors["confirm"] != "" {
		view.Form.Errors["confirm"] = "That is not the word. Type it as it stands here, or go back."
	}
	return v.Page(portal.Frame{
		Title: "Rotate the signing keys?", Curl: view.Form.Curl, Back: []portal.Link{{Name: "Signing keys", Path: "signing-keys"}},
	}, view)
}
