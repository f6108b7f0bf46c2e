package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// handleKeys bind the name of a session to the app that was handed it: what an
// app reads in Wave-Session-ID is of use to that app alone. Nothing is kept, so
// handles outlive restarts and work on every replica. The first key is current.
type handleKeys [][]byte

// make returns the handle of a session for an app.
func (k handleKeys) make(session, app string) string {
	return session + "." + base64.RawURLEncoding.EncodeToString(k.tag(0, session, app))
}

// open returns the session of a handle that was made for the app.
func (k handleKeys) open(handle, app string) (session string, ok bool) {
	session, encoded, found := strings.Cut(handle, ".")
	tag, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !found || err != nil || len(handle) > 128 {
		return "", false
	}
	for i := range k {
		if hmac.Equal(tag, k.tag(i, session, app)) {
			return session, true
		}
	}
	return "", false
}

func (k handleKeys) tag(i int, session, app string) []byte {
	mac := hmac.New(sha256.New, k[i])
	mac.Write([]byte(session))
	mac.Write([]byte{0}) // neither a session nor an app has it
	mac.Write([]byte(app))
	return mac.Sum(nil)[:18]
}
