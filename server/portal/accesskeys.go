package portal

import "encoding/base64"

// An AccessKey is a key of the keychain file, as the API shows it.
type AccessKey struct {
	ID     string   `json:"id"`
	Secret string   `json:"secret"` // in the one answer that reveals it
	Roles  []string `json:"roles"`
	Scopes []string `json:"scopes"`
	Listed bool     `json:"listed"` // the policy says what it holds; else it holds everything
	Source string   `json:"source"` // file, settings or published
	InUse  bool     `json:"in_use"`
}

// InFile reports whether the key can be removed here.
func (k AccessKey) InFile() bool { return k.Source == "file" }

// Everything reports whether nothing is closed to the key.
func (k AccessKey) Everything() bool {
	return !k.Listed || len(k.Scopes) == 1 && k.Scopes[0] == "*"
}

// RemovePath is the page that removes the key. IDs may have any letters, also those
// that no path may have: the path has their base64 (RFC 4648, section 5).
func (k AccessKey) RemovePath() string {
	return "access-keys/" + base64.RawURLEncoding.EncodeToString([]byte(k.ID)) + "/remove"
}

// An AccessKeysPage lists the access keys that work now.
type AccessKeysPage struct {
	Keys []AccessKey // but for the published one
	File string      // where they are kept
	None Empty
}

func (AccessKeysPage) page() string { return "access-keys" }

// An AccessKeyFormPage makes an access key.
type AccessKeyFormPage struct{ Form Form }

func (AccessKeyFormPage) page() string { return "access-key-form" }

func (v AccessKeyFormPage) form() Form { return v.Form }

// An AccessKeyMadePage shows a new access key, once.
type AccessKeyMadePage struct {
	ID     string
	Secret Secret
}

func (AccessKeyMadePage) page() string { return "access-key-made" }

// Facts are what is said of the key beside its secret.
func (v AccessKeyMadePage) Facts() []Fact { return []Fact{code("ID", v.ID)} }
