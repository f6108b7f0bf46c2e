package server

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// What pages of the authorization server are told again when their forms come back.
// It goes through the browser, sealed with the session that the page was made for:
// nobody can change it, lapseOf tells what another browser sends, and tabs do not
// disturb each other.

// The fields of what is sealed.
const (
	shownAt       = "at"      // when the page was made, milliseconds since the epoch
	shownSession  = "session" // that it was made for
	shownUser     = "user"    // whose session that is
	shownScopes   = "scope"   // that the person was asked for
	shownRequest  = "request" // of an app: its parameters
	shownUserCode = "code"    // of a device: its user code
	shownDevice   = "device"  // and which device that was
)

// sealForm seals what a page is to send back. Forms of one kind are no good as those
// of another one.
func (o *oauth) sealForm(kind string, p *visitor, shown url.Values) (string, error) {
	shown.Set(shownSession, p.sess.ID)
	shown.Set(shownUser, p.sess.UserID)
	sealed, err := o.sealing.Seal(kind, "", []byte(shown.Encode()))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openForm opens what sealForm sealed, for whichever session. It is not ok where that
// is something else.
func (o *oauth) openForm(kind, form string) (shown url.Values, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(form)
	if err != nil {
		return nil, false
	}
	plain, err := o.sealing.Open(kind, "", sealed)
	if err != nil {
		return nil, false
	}
	shown, err = url.ParseQuery(string(plain))
	return shown, err == nil
}

// onlyShown leaves out what a person was not shown: they may hold more by now.
func onlyShown(scopes []string, shown url.Values) []string {
	seen := strings.Fields(shown.Get(shownScopes))
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(seen, s) })
}
