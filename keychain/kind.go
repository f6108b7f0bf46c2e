package keychain

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// minPassword is the least length of a person's password, in characters, as
// NIST SP 800-63B has it.
const minPassword = 8

// A Kind says what the lines of a file stand for. The form of the file is the
// same for all kinds; the words of messages, and what is asked of IDs and
// secrets, are not.
type Kind int

// The kinds of files.
const (
	AccessKeys Kind = iota // the keychain: IDs and secrets of programs
	LocalUsers             // the users file: names and passwords of people
)

// words are what messages call a file of a kind, what it holds, and what to do
// where it holds nothing.
type words struct{ file, flag, entry, id, fill string }

func (k Kind) words() words {
	if k == LocalUsers {
		return words{"users file", "--users-file", "user", "name", "add a user with --create-user NAME, or leave --users-file out"}
	}
	return words{"keychain", "-access-keychain", "key", "ID", "create a key in it, or leave the keychain out"}
}

// check says why a pair cannot be written to a file of this kind. The error is
// an ErrInvalid.
func (k Kind) check(id, secret string) error {
	if err := k.checkID(id); err != nil {
		return err
	}
	if k == LocalUsers {
		return CheckPassword(secret)
	}
	return invalid("secret", secretProblem(secret))
}

func (k Kind) checkID(id string) error { return invalid(k.words().id, idProblem(id)) }

// same reports whether two IDs are too alike for one file. People neither hear
// nor remember case, so it makes no two users; of access keys it does.
func (k Kind) same(a, b string) bool { return a == b || k == LocalUsers && strings.EqualFold(a, b) }

// CheckName says why no user can have this name. The error is an ErrInvalid.
func CheckName(name string) error { return LocalUsers.checkID(name) }

// CheckPassword says why a person cannot have this password, in words for that
// person. The error is an ErrInvalid and never holds the password.
func CheckPassword(password string) error {
	reason := secretProblem(password)
	switch {
	case reason != "":
	case !utf8.ValidString(password):
		reason = "is not UTF-8 text"
	case utf8.RuneCountInString(password) < minPassword:
		reason = fmt.Sprintf("has fewer than %d characters", minPassword)
	}
	return invalid("password", reason)
}

// invalid makes an ErrInvalid of what is wrong with the named thing, if
// anything is.
func invalid(thing, reason string) error {
	if reason == "" {
		return nil
	}
	return &wordedError{ErrInvalid, "the " + thing + " " + reason}
}

// A wordedError is one of this package's errors in the words of a kind.
type wordedError struct {
	is   error
	text string
}

// Error returns the text.
func (e *wordedError) Error() string { return e.text }

// Unwrap returns the error that callers compare with.
func (e *wordedError) Unwrap() error { return e.is }
