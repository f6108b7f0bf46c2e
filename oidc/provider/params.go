package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxBody bounds the body of a request to the endpoints of clients, in bytes.
const MaxBody = 64 << 10

// Bounds of what a request may hold. Lengths are bytes.
const (
	maxQuery      = 16 << 10
	maxParams     = 50
	maxParamName  = 128
	maxParamValue = 4 << 10
	maxTokenParam = 16 << 10 // of the parameters in tokenParams
)

// tokenParams are the parameters whose value is a token, or as long as one.
var tokenParams = []string{"client_assertion", "id_token_hint", "logout_token", "refresh_token", "request", "token"}

// Params are the parameters of a request, each of which came once; only
// "resource" may come several times (RFC 8707, section 2). An empty value is the
// same as none (RFC 6749, section 3.1).
type Params struct{ values url.Values }

// ParseQuery reads the parameters of a query. The error is InvalidRequest.
func ParseQuery(raw string) (Params, error) {
	if len(raw) > maxQuery {
		return Params{}, badParams("The query has more than %d bytes. Push the request first (RFC 9126), or ask for less.", maxQuery)
	}
	return parseForm(raw)
}

// ParseBody reads the parameters of a body of a content type: a form, JSON, or JSON
// that says it is a form, as curl -d sends it. JSON is one flat object of strings.
// The error is InvalidRequest.
func ParseBody(contentType string, body []byte) (Params, error) {
	switch {
	case len(body) > MaxBody:
		return Params{}, badParams("The body has more than %d bytes.", MaxBody)
	case len(body) == 0:
		return Params{}, nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = ""
	}
	switch {
	case kind == "application/json", kind == "application/x-www-form-urlencoded" && looksLikeJSON(body):
		return parseJSON(body)
	case kind == "application/x-www-form-urlencoded":
		return parseForm(string(body))
	}
	return Params{}, badParams("Send the parameters with Content-Type application/x-www-form-urlencoded or application/json.")
}

// badParams returns an InvalidRequest. No argument may come from the request
// unless it went through shown.
func badParams(format string, args ...any) *Error {
	return fail(InvalidRequest, fmt.Sprintf(format, args...))
}

// looksLikeJSON reports whether a body that says it is a form is a JSON object: no
// form of ours begins with a brace.
func looksLikeJSON(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, jsonBlanks), []byte("{"))
}

const jsonBlanks = " \t\r\n"

// parseForm reads a query or a form.
func parseForm(raw string) (Params, error) {
	if strings.Count(raw, "&") >= 2*maxParams { // before memory is spent on them
		return Params{}, errTooManyParams()
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return Params{}, badParams("The parameters cannot be read. Percent-encode every value, and part them by an ampersand.")
	}
	return checkParams(values)
}

// parseJSON reads one flat object of strings.
func parseJSON(body []byte) (Params, error) {
	fields, err := jsonObject(body)
	if twice, ok := errors.AsType[twiceError](err); ok {
		return Params{}, errTwice(string(twice))
	}
	if err != nil {
		return Params{}, badParams("The body is no JSON object. Send one flat object of strings.")
	}
	values := make(url.Values, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var value *string
		if err := json.Unmarshal(fields[name], &value); err != nil || value == nil {
			return Params{}, badParams("%s is no string. Every value of the JSON object has to be one.", shown(name))
		}
		values[name] = []string{*value}
	}
	return checkParams(values)
}

// checkParams returns values as Params if they keep to the bounds.
func checkParams(values url.Values) (Params, error) {
	total := 0
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list := values[name]
		if total += len(list); total > maxParams {
			return Params{}, errTooManyParams()
		}
		if len(list) > 1 && name != "resource" {
			return Params{}, errTwice(name)
		}
		if len(name) > maxParamName || !isText(name) {
			return Params{}, badParams("A parameter has a name that is too long or no text.")
		}
		for _, value := range list {
			if err := checkValue(name, value); err != nil {
				return Params{}, err
			}
		}
	}
	return Params{values}, nil
}

func checkValue(name, value string) error {
	most := maxParamValue
	if slices.Contains(tokenParams, name) {
		most = maxTokenParam
	}
	switch {
	case len(value) > most:
		return badParams("%s has more than %d bytes.", shown(name), most)
	case !isText(value):
		return badParams("%s is no UTF-8, or has a NUL in it.", shown(name))
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func errTwice(name string) *Error {
	return badParams("%s came more than once. Send every parameter once.", shown(name))
}

func errTooManyParams() *Error {
	return badParams("The request has more than %d parameters.", maxParams)
}

// shown returns the name of a parameter as a description may have it.
func shown(name string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == '\'' }
	if name == "" || len(name) > 40 || mayBeSecret(name) || strings.IndexFunc(name, odd) >= 0 { // secrets are longer
		return "A parameter"
	}
	return "The parameter " + name
}

// mayBeSecret reports whether something begins like a secret or token of this server, which
// somebody put where it does not belong: errors, and so logs, do not repeat it.
func mayBeSecret(s string) bool {
	for _, prefix := range []string{codePrefix, refreshPrefix, devicePrefix, "wgcs_", "eyJ"} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// shownScope returns a scope as a description may have it.
func shownScope(s string) string {
	if mayBeSecret(s) {
		return "that was named"
	}
	return s
}

// twiceError is the error of jsonObject for a name that is there twice.
type twiceError string

func (e twiceError) Error() string { return "a name is there twice" }

var errNoObject = errors.New("not one JSON object")

// jsonObject returns the members of the one object that body is. Names are told
// apart byte by byte, which encoding/json does not do for a struct. Errors: a
// twiceError, or that of JSON.
func jsonObject(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) || !json.Valid(body) || !looksLikeJSON(body) {
		return nil, errNoObject
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	fields := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		key := name.(string)
		if _, twice := fields[key]; twice {
			return nil, twiceError(key)
		}
		fields[key] = value
	}
	return fields, nil
}

// Get returns a parameter, "" for none.
func (p Params) Get(name string) string { return p.values.Get(name) }

// All returns every value of a parameter that may come several times.
func (p Params) All(name string) []string { return p.values[name] }

// Without returns the parameters less some.
func (p Params) Without(names ...string) Params {
	rest := maps.Clone(p.values)
	for _, name := range names {
		delete(rest, name)
	}
	return Params{rest}
}

// Encode returns the parameters as a query.
func (p Params) Encode() string { return p.values.Encode() }
