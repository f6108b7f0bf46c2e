package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// MaxAppMessage bounds the body of a registration, in bytes.
const MaxAppMessage = 64 << 10

// appMessage is what an app sends: one of the two.
type appMessage struct {
	Register   *Registration `json:"register_app"`
	Unregister *struct {
		Route string `json:"route"`
	} `json:"unregister_app"`
}

// Serve answers the POST with which an app registers or leaves, for the
// principal of the request's identity.Request. The answer is 200 and an empty
// JSON object. Errors are *fault.Error.
func (a *Apps) Serve(w http.ResponseWriter, r *http.Request) error {
	id := identity.FromContext(r.Context())
	if id == nil || id.Principal == nil {
		return fault.New(http.StatusUnauthorized, "invalid_api_key", "Apps are registered with an access key.").
			WithHeader("WWW-Authenticate", `Basic realm="wavegate"`)
	}
	if r.Method != http.MethodPost {
		return fault.MethodNotAllowed("POST")
	}
	// Browsers add a Basic pair that they know to other sites' requests too.
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return fault.New(http.StatusForbidden, "cross_origin", "Apps are not registered from a browser.").Because(err)
	}
	message, err := readAppMessage(http.MaxBytesReader(w, r.Body, MaxAppMessage))
	if err != nil {
		return err
	}
	if message.Register != nil {
		err = a.Register(id.Principal, *message.Register)
	} else {
		err = a.Unregister(id.Principal, message.Unregister.Route)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, "{}\n") // a client that is gone misses nothing
	return nil
}

// readAppMessage reads one message: one JSON value, no unknown field, one of
// the two kinds. Errors never repeat the body, which holds a secret.
func readAppMessage(body io.Reader) (appMessage, error) {
	var message appMessage
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	err := d.Decode(&message)
	if err == nil {
		if _, extra := d.Token(); extra != io.EOF {
			err = errors.Join(errors.New("more than one JSON value"), extra)
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return message, tooLarge()
	}
	if err != nil || (message.Register == nil) == (message.Unregister == nil) {
		return message, fault.New(http.StatusBadRequest, "invalid_request",
			`The body must be JSON: {"register_app": {"mode", "route", "address", "key_id", "key_secret"}} or {"unregister_app": {"route"}}, with no other field.`)
	}
	return message, nil
}

// check returns the address as a URL, or a 400 fault that names everything
// that is wrong.
func (reg Registration) check() (*url.URL, error) {
	var wrong []string
	switch reg.Mode {
	case "unicast", "multicast", "broadcast":
	default:
		wrong = append(wrong, "mode must be unicast, multicast or broadcast")
	}
	switch path, err := policy.ParsePath(reg.Route); {
	case err != nil:
		wrong = append(wrong, "route: "+err.Error())
	case len(path) > maxAppRoute:
		wrong = append(wrong, "route is longer than 256 bytes")
	case policy.Reserved(path):
		wrong = append(wrong, "route is reserved for the server's own endpoints")
	}
	target, reason := appAddress(reg.Address)
	if reason != "" {
		wrong = append(wrong, reason)
	}
	if !isPairText(reg.KeyID) || strings.Contains(reg.KeyID, ":") {
		wrong = append(wrong, "key_id must be 1 to 256 printable characters without a colon")
	}
	if !isPairText(reg.KeySecret) {
		wrong = append(wrong, "key_secret must be 1 to 256 printable characters")
	}
	if len(wrong) > 0 {
		return nil, fault.New(http.StatusBadRequest, "invalid_request", "register_app: "+strings.Join(wrong, "; ")+".")
	}
	return target, nil
}

// appAddress reads the address of an app; the reason says what is wrong with
// it and does not repeat it. Loopback and private addresses are the usual case.
func appAddress(s string) (target *url.URL, reason string) {
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !isPort(u.Port()) {
		return nil, "address must be an absolute http or https URL, such as http://127.0.0.1:8000"
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") {
		return nil, "address must hold no user, password, query or fragment"
	}
	if p := u.EscapedPath(); p != "" {
		if _, found, err := CleanPath(p); err != nil || found != 0 {
			return nil, "address must have a plain path"
		}
	}
	return u, ""
}

// isPairText reports whether s can be half of a Basic pair (RFC 7617 §2).
func isPairText(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, unicode.IsControl)
}
