package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"wavegate/server/fault"
)

// maxAPIBody bounds the body of a call of the management API, in bytes. A key
// with as much metadata as it may have fits in twice.
const maxAPIBody = 64 << 10

// problems gathers what is wrong with the fields of a request, so that all of it
// is said at once.
type problems []fault.Field

// add notes a problem of a field.
func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, fault.Field{Field: field, Message: fmt.Sprintf(format, args...)})
}

// err is the answer that names every problem, nil where there is none.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	var all []string
	for _, f := range p {
		all = append(all, f.Field+": "+f.Message)
	}
	e := fault.New(http.StatusBadRequest, "invalid_request", strings.Join(all, "; ")+".")
	e.Fields = p
	return e
}

var (
	errContentType = fault.New(http.StatusUnsupportedMediaType, "unsupported_media_type",
		"Send the body as JSON, with Content-Type: application/json.")
	errBodyTooLarge = fault.New(http.StatusRequestEntityTooLarge, "too_large",
		fmt.Sprintf("The body is larger than %d KB.", maxAPIBody>>10))
)

// readJSON reads the body of a call, a JSON object, into the struct that into
// points at, whose fields are all known fields; a body of nothing is an empty
// object. What is wrong with single fields is noted in p, so that the caller can
// go on to check the others; the error is about the body as a whole.
//
// curl labels what -d sends as a form, so JSON under that label is taken too: a
// page of another site cannot use that (see sameOrigin).
func readJSON(ex *exchange, r *http.Request, into any, p *problems) error {
	raw, err := readBody(ex, r, maxAPIBody)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	return decodeObject(raw, into, p)
}

// readBody reads a whole body that says it is JSON.
func readBody(ex *exchange, r *http.Request, most int64) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(ex, r.Body, most))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, fault.New(http.StatusBadRequest, "invalid_request", "The body broke off.").Because(err)
	}
	if len(raw) > 0 && !saysJSON(r.Header, raw) {
		return nil, errContentType
	}
	return raw, nil
}

// saysJSON reports whether a body may be read as JSON.
func saysJSON(h http.Header, body []byte) bool {
	values := h["Content-Type"]
	if len(values) == 0 {
		return true
	}
	kind, _, err := mime.ParseMediaType(values[0])
	switch {
	case err != nil || len(values) > 1:
		return false
	case kind == "application/json", kind == "text/json", strings.HasSuffix(kind, "+json"), kind == "application/x-ndjson", kind == "application/jsonl":
		return true
	case kind == "application/x-www-form-urlencoded":
		first := bytes.TrimLeft(body, " \t\r\n")
		return len(first) > 0 && (first[0] == '{' || first[0] == '[')
	}
	return false
}

// decodeObject reads a JSON object field by field.
func decodeObject(raw []byte, into any, p *problems) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	notJSON := func(err error) error {
		return fault.New(http.StatusBadRequest, "invalid_request", "The body must be one JSON object, such as {\"name\": \"ci\"}.").Because(err)
	}
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return notJSON(err)
	}
	fields := fieldsOf(into)
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return notJSON(err)
		}
		if seen[name] {
			p.add(shown(name), "is given twice")
			continue
		}
		seen[name] = true
		setField(fields, name, value, p)
	}
	if _, err := d.Token(); err != nil {
		return notJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return notJSON(err)
	}
	return nil
}

// fieldsOf returns the fields of the struct that into points at by the names that
// their json tags give.
func fieldsOf(into any) map[string]reflect.Value {
	v := reflect.ValueOf(into).Elem()
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = v.Field(i)
	}
	return fields
}

// setField reads the value of one field. Null is the same as leaving it out.
func setField(fields map[string]reflect.Value, name string, value json.RawMessage, p *problems) {
	field, known := fields[name]
	if !known {
		names := make([]string, 0, len(fields))
		for n := range fields {
			names = append(names, n)
		}
		slices.Sort(names)
		p.add(shown(name), "is not a field of this call; it has %s", strings.Join(names, ", "))
		return
	}
	if string(value) == "null" {
		return
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(field.Addr().Interface()); err != nil {
		field.SetZero()
		p.add(name, "must be %s", wanted(field.Type()))
	}
}

// shown is a field's name as it may be shown: what a client made up may be a
// secret, or long.
func shown(name string) string {
	const most = 40
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}

// wanted says what a field takes.
func wanted(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		return wanted(t.Elem())
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		return "JSON"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list, such as [\"a\", \"b\"]"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number"
}
