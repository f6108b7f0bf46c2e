package server

import (
	"encoding/base64"
	"net/http"
	"strings"

	"wavegate/server/fault"
)

// maxCredentialLength bounds what is looked at in an Authorization header.
const maxCredentialLength = 16 << 10

// A credential is what a request offers to prove who sends it.
type credential struct {
	kind   credentialKind
	id     string // Basic: the user part
	secret string // Basic: the password part; else the key or token
}

type credentialKind uint8

const (
	credentialNone   credentialKind = iota
	credentialBasic                 // RFC 7617
	credentialBearer                // RFC 6750, a bare key, or X-API-Key
)

var (
	errMalformedCredential = fault.New(http.StatusBadRequest, "invalid_request",
		"The Authorization header is malformed. Send it once, as \"Basic\" with base64 of ID:secret, or as \"Bearer\" with a key.")
	errTwoCredentials = fault.New(http.StatusBadRequest, "invalid_request",
		"The request carries more than one credential. Send either Authorization or X-API-Key, once.")
)

// readCredential finds the one credential of a request. Two of them are an
// error: the next hop might choose the other.
func readCredential(h http.Header) (credential, error) {
	auth, key := h["Authorization"], h["X-Api-Key"]
	switch {
	case len(auth)+len(key) == 0:
		return credential{}, nil
	case len(auth)+len(key) > 1:
		return credential{}, errTwoCredentials
	case len(key) == 1:
		return bearerCredential(key[0])
	}
	return parseAuthorization(auth[0])
}

// parseAuthorization reads the value of an Authorization header. The scheme is
// case-blind (RFC 9110, section 11.1); a value without a scheme is a bare key.
func parseAuthorization(value string) (credential, error) {
	if len(value) > maxCredentialLength {
		return credential{}, errMalformedCredential
	}
	scheme, rest, found := strings.Cut(value, " ")
	if !found {
		return bearerCredential(value)
	}
	switch {
	case strings.EqualFold(scheme, "Basic"):
		return basicCredential(strings.Trim(rest, " "))
	case strings.EqualFold(scheme, "Bearer"):
		return bearerCredential(strings.Trim(rest, " "))
	}
	return credential{}, errMalformedCredential
}

// basicCredential decodes RFC 7617's ID:secret. The ID ends at the first colon.
func basicCredential(encoded string) (credential, error) {
	var room [512]byte // enough for every key; longer ones cost an allocation
	decoded, err := base64.StdEncoding.AppendDecode(room[:0], []byte(encoded))
	if err != nil {
		return credential{}, errMalformedCredential
	}
	id, secret, found := strings.Cut(string(decoded), ":")
	if !found || strings.ContainsFunc(id, isControl) || strings.ContainsFunc(secret, isControl) {
		return credential{}, errMalformedCredential
	}
	return credential{kind: credentialBasic, id: id, secret: secret}, nil
}

func bearerCredential(token string) (credential, error) {
	if token == "" || len(token) > maxCredentialLength || !isToken68(token) {
		return credential{}, errMalformedCredential
	}
	return credential{kind: credentialBearer, secret: token}, nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// token68 are the characters of RFC 9110's token68: a table, since an access token
// has hundreds of them and every request is asked.
var token68 = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") {
		in[c] = true
	}
	return in
}()

func isToken68(s string) bool {
	for i := range len(s) {
		if !token68[s[i]] {
			return false
		}
	}
	return true
}
