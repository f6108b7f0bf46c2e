package manage

import (
	"net/http"
	"strconv"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// blame writes what the API says of a form into it, each thing beside its field. What
// is not about the form is returned.
func (v *Visit) blame(f *portal.Form, err error) error {
	e := fault.From(err)
	switch {
	case len(e.Fields) > 0:
		complain(f, e.Fields)
		return nil
	case e.Code == "access_key_exists":
		f.Errors = map[string]string{"id": e.Message}
		return nil
	case e.Status == http.StatusPreconditionFailed:
		f.Changed = true
		return nil
	case e.Code == "fresh_login_required", e.Status == http.StatusUnauthorized, e.Status == http.StatusNotFound,
		e.Status >= http.StatusInternalServerError && e.Status != http.StatusServiceUnavailable:
		return err
	}
	f.Problem = e.Message
	return nil
}

// complain writes into a form what is wrong with its fields. Of a field with several
// lines, each that is wrong is named.
func complain(f *portal.Form, fields []fault.Field) {
	f.Errors = map[string]string{}
	for _, field := range fields {
		name, index, _ := strings.Cut(field.Field, "[")
		switch line := lineOf(f.Get(name), name, index); {
		case line > 0:
			f.Errors[name] = strings.TrimSpace(f.Errors[name] + " Line " + strconv.Itoa(line) + ": " + stopped(field.Message))
		case f.Errors[name] == "":
			f.Errors[name] = sentence(field.Message)
		}
	}
}

// lineOf finds the line, from 1, in which the entry of an index such as "2]" stands, in
// a field that has an entry a line. It is 0 where there is one line alone, or where
// entries do not stand on lines of their own.
func lineOf(text, name, index string) int {
	nth, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
	if err != nil || !strings.Contains(strings.TrimSpace(text), "\n") || !strings.HasSuffix(name, "_uris") && strings.ContainsAny(text, ", \t") {
		return 0
	}
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if nth == 0 {
			return i + 1
		}
		nth--
	}
	return 0
}

// sentence makes a sentence of what the API says behind the name of a field.
func sentence(message string) string {
	message = strings.TrimSpace(message)
	if message == "" {
		return message
	}
	for _, verb := range []string{"is ", "has ", "must ", "holds ", "cannot ", "can ", "names "} {
		if strings.HasPrefix(message, verb) {
			message = "This " + message
			break
		}
	}
	if rest, ok := strings.CutPrefix(message, "want "); ok {
		message = "It has to be " + rest
	}
	return stopped(strings.ToUpper(message[:1]) + message[1:])
}

// stopped ends a message with a full stop.
func stopped(message string) string {
	if message == "" {
		return message
	}
	if strings.ContainsAny(message[len(message)-1:], ".!?") {
		return message
	}
	return message + "."
}
