package portal

import (
	"strings"
	"time"
)

// A Lockout is an address or a key that has to wait, as the API shows it.
type Lockout struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`    // ip or key
	Subject string    `json:"subject"` // an address, a network, the ID of a key, or "unknown ID"
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// userMark begins the subjects that are local users.
const userMark = "user:"

// KindName is what is locked, as people say it.
func (l Lockout) KindName() string {
	switch {
	case l.Kind == "ip":
		return "Address"
	case strings.HasPrefix(l.Subject, userMark):
		return "User"
	}
	return "Key"
}

// Name names what is locked.
func (l Lockout) Name() string {
	if l.Kind == "ip" {
		return l.Subject
	}
	return strings.TrimPrefix(l.Subject, userMark)
}

// Unknown reports whether what is locked is no key of this server, so that the API
// does not say what was typed.
func (l Lockout) Unknown() bool { return l.Kind == "key" && l.Subject == "unknown ID" }

// A LockoutsPage lists who has to wait.
type LockoutsPage struct {
	Form     Form // lifts one
	Lockouts []Lockout
	Now      time.Time
	Paging   Paging
	None     Empty
}

func (LockoutsPage) page() string { return "lockouts" }

func (v LockoutsPage) form() Form { return v.Form }

// Left is how long a lock still holds, in words.
func (v LockoutsPage) Left(l Lockout) string {
	left := l.Until.Sub(v.Now)
	switch {
	case left <= 0:
		return "any moment"
	case left < time.Minute:
		return "in " + count(int64((left+time.Second-1)/time.Second), "second", "seconds")
	}
	return "in " + count(int64((left+time.Minute-1)/time.Minute), "minute", "minutes")
}
