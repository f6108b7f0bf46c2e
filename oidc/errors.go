package oidc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrRefused is in the error of Refresh when the provider has ended the sign-in:
// the session must end too. After any other error it may go on.
var ErrRefused = errors.New("the provider has ended this sign-in")

// A Kind says what sort of thing went wrong, for the page that a person sees.
type Kind string

// The kinds of errors.
const (
	Unreachable   Kind = "unreachable"   // no answer, or one that says later
	Denied        Kind = "denied"        // the provider, or the person there, said no
	Misconfigured Kind = "misconfigured" // the operator must mend something
	Untrusted     Kind = "untrusted"     // a token or an answer that does not prove what it says
	Stale         Kind = "stale"         // too late, or a second time; starting again helps
)

// An Error is what every method of Provider returns. Its text is for the
// operator's log; it holds no token and no code. Only Kind and Code are fit for
// a page that somebody else sees.
type Error struct {
	Kind   Kind
	Code   string // error code that the provider gave (RFC 6749 §5.2), or ""
	Advice string // what the operator can do about it, or ""

	provider string // name of the provider
	err      error
}

func (e *Error) Error() string {
	text := e.err.Error()
	if e.provider != "" {
		text = fmt.Sprintf("oidc provider %q: %s", e.provider, text)
	}
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

func (e *Error) Unwrap() error { return e.err }

// failure returns an Error without advice.
func failure(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, err: fmt.Errorf(format, args...)}
}

// advise sets the advice of e.
func (e *Error) advise(format string, args ...any) *Error {
	e.Advice = fmt.Sprintf(format, args...)
	return e
}

// named puts the provider's name into err, which stays nil when it is. It is
// called once, where an error leaves the package.
func (p *Provider) named(err error) error {
	if err == nil {
		return nil
	}
	named := Error{Kind: Unreachable, err: err}
	if e, ok := errors.AsType[*Error](err); ok {
		named = *e
	}
	named.provider = p.cfg.Name
	return &named
}

const maxForeign = 200 // bytes that are shown of what somebody else wrote

// foreign returns text that somebody else wrote in a form that is fit for a
// log: short, quoted, without control characters and without the given secrets.
func foreign(text string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text[:min(len(text), 4*maxForeign)])
	if len(text) > maxForeign {
		text = strings.ToValidUTF8(text[:maxForeign], "") + "…"
	}
	return strconv.Quote(text)
}

// said joins the error code and the description that a provider gave.
func said(code, description string, secrets ...string) string {
	if description == "" {
		return foreign(code, secrets...)
	}
	return foreign(code, secrets...) + ": " + foreign(description, secrets...)
}

// shortCode is an error code if it looks like one, and "" otherwise.
func shortCode(code string) string {
	if len(code) > 64 || strings.IndexFunc(code, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) >= 0 {
		return ""
	}
	return code
}
