package manage

import (
	"net/http"
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
		f.Errors = map[string]string{}
		for _, field := range e.Fields {
			name, _, _ := strings.Cut(field.Field, "[")
			if f.Errors[name] == "" {
				f.Errors[name] = sentence(field.Message)
			}
		}
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
	message = strings.ToUpper(message[:1]) + message[1:]
	if strings.ContainsAny(message[len(message)-1:], ".!?") {
		return message
	}
	return message + "."
}
