// Package session owns browser sessions: their records, the memory of those
// that are in use, their end by time, by their owner, by an administrator or by
// the provider, the renewal of what the provider said, and the cookies that
// name sessions and login attempts. It keeps nothing on disk itself (package
// store does) and speaks to no provider (package oidc does).
package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// Errors of Store and Manager.
var (
	ErrNoSession   = errors.New("no such session")              // unknown, ended or expired: the same to the caller
	ErrNoUser      = errors.New("no such user")                 //
	ErrDisabled    = errors.New("the user is disabled")         // sign-in is refused, sessions were ended
	ErrAttemptUsed = errors.New("the login attempt is used up") // its state came back a second time
	ErrUnavailable = errors.New("the store cannot be asked")    // nothing may be concluded: answer 503
	ErrConflict    = errors.New("it was changed meanwhile")     // another process renewed the session, or set the roles, first
)

// Local is the provider's name of sessions that began with the users file.
const Local = "local"

// A Hash names a session in the store and in memory: the SHA-256 of the
// cookie's value, which itself is kept nowhere.
type Hash [sha256.Size]byte

// A Record is one session as the store keeps it. Times are UTC, milliseconds.
type Record struct {
	ID       string // public name, "ses_" and 26 characters: for lists and for ending it; opens nothing
	Hash     Hash
	ClientID string // Wave-Client-ID: one per browser session, random
	UserID   string // User.ID

	Provider string // name of the provider, or Local
	Issuer   string // iss of the ID token; Local for local users
	Subject  string // sub of the ID token; the name for local users
	SID      string // the provider's name of the session, for back-channel logout; may be empty
	Stamp    string // local users: keychain.Stamp of their line at sign-in; "" for others

	Claims         // as the provider told at sign-in or at the last renewal
	Sealed  []byte // Tokens, encrypted; nil for none
	Version int64  // raised by each Renew, from 1

	Roles        []string // of the user, see User.Roles
	RolesVersion int64    // raised by each SetRoles of the user, from 0

	RenewAt   time.Time // when the provider is asked again; zero is never
	CreatedAt time.Time
	ProvedAt  time.Time // when the person proved who they are for this session; zero: a provider remembered them
	SeenAt    time.Time // last use; in the store some seconds late
	ExpiresAt time.Time // absolute end

	IP        string // address at sign-in
	UserAgent string // at sign-in, at most 256 bytes
}

// Claims are what a provider says of a person, checked and cut to size.
type Claims struct {
	Username string   // for people to read
	Email    string   // verified address, or empty
	Groups   []string // at most 1,000
}

// Tokens are what a provider handed out for a session.
type Tokens struct {
	ID      string    // ID token as it came, for the id_token_hint of a logout
	Access  string    //
	Refresh string    // "" where the provider gives none
	Expiry  time.Time // of Access; zero where the provider does not say
}

// String keeps tokens out of logs and errors.
func (Tokens) String() string { return "[tokens]" }

// GoString keeps them out of %#v.
func (Tokens) GoString() string { return "[tokens]" }

// A User is a person who signed in at least once. Users are linked on (Issuer,
// Subject) alone, never on an e-mail address.
type User struct {
	ID           string // "usr_" and 26 characters
	Provider     string
	Issuer       string
	Subject      string
	Claims                 // of the last sign-in or renewal
	Roles        []string  // that an administrator gave, beside those of the policy; sorted
	RolesVersion int64     // raised by each SetRoles, from 0
	CreatedAt    time.Time // first sign-in
	SeenAt       time.Time // last sign-in
	DisabledAt   time.Time // zero: may sign in
}

// A Filter chooses sessions. Empty fields choose nothing out; the zero value
// chooses none, so that a forgotten field cannot end everybody's.
type Filter struct {
	ID      string // Record.ID
	UserID  string
	Issuer  string // with Subject or SID
	Subject string
	SID     string
	NotID   string // all but this one
	All     bool   // every session, for administrators
}

// A Touch says that a session was used.
type Touch struct {
	Hash   Hash
	SeenAt time.Time
}

// A Store keeps sessions and users. Every method may be called by any number of
// goroutines and processes. Errors that are not named are about the store
// itself and mean ErrUnavailable to the caller.
type Store interface {
	// SignIn records the user (linked on Issuer and Subject; Claims and SeenAt
	// are brought up to date), uses up the login attempt, and adds the session,
	// all or nothing. The Record's UserID is filled in by SignIn and returned with
	// the user. An attempt of the zero Hash is none. Errors: ErrDisabled,
	// ErrAttemptUsed.
	SignIn(ctx context.Context, r Record, attempt Hash, attemptEnds time.Time) (User, error)

	// Session returns the session with the hash. Errors: ErrNoSession, also when
	// its user is disabled.
	Session(ctx context.Context, h Hash) (Record, error)

	// Sessions lists sessions, newest first, at most limit, after the session
	// with the ID after ("" from the start).
	Sessions(ctx context.Context, f Filter, after string, limit int) ([]Record, error)

	// Touch moves SeenAt forward, never back, of the sessions that still are.
	Touch(ctx context.Context, touches []Touch) error

	// ClaimRenewal lets one process at a time ask the provider about a session:
	// it reports whether this one may until the given time. The record that it
	// returns is the present one; won is false when Version is no longer version or
	// somebody else's claim still runs. Errors: ErrNoSession.
	ClaimRenewal(ctx context.Context, h Hash, version int64, now, until time.Time) (present Record, won bool, err error)

	// Renew stores Claims, Sealed, RenewAt and Version+1 of r where the stored
	// Version is r.Version, brings the user's Claims up to date, and ends the
	// claim. Errors: ErrNoSession, ErrConflict.
	Renew(ctx context.Context, r Record) error

	// End removes the chosen sessions and tells every process. It returns how
	// many there were.
	End(ctx context.Context, f Filter) (int, error)

	// Sweep removes at most limit sessions that ended at now: ExpiresAt is
	// reached, or SeenAt is not after idle. It removes login attempts that ended
	// too. Nobody is told: whoever remembers such a session knows its times.
	Sweep(ctx context.Context, now, idle time.Time, limit int) (int, error)

	// User returns one user. Errors: ErrNoUser.
	User(ctx context.Context, id string) (User, error)

	// FindUsers lists the users who have a text in name, address or subject (""
	// is in everybody's), newest first, at most limit, after the user with the ID
	// after.
	FindUsers(ctx context.Context, search, after string, limit int) ([]User, error)

	// SetDisabled disables a user at a time and ends their sessions, telling
	// every process; the zero time enables them again. Errors: ErrNoUser.
	SetDisabled(ctx context.Context, id string, at time.Time) error

	// SetRoles makes roles all that an administrator gave to a user whose
	// RolesVersion is still version, and tells every process. Errors: ErrNoUser,
	// ErrConflict.
	SetRoles(ctx context.Context, id string, version int64, roles []string) error
}

// A Change is one line of the store's change table, by which the memories of all
// processes follow the store.
type Change struct {
	Kind string // one of the Changed… kinds; others are for other memories
	Key  string
}

// The kinds of changes that a Manager follows.
const (
	ChangedSession = "session" // Key is a Hash in hex: the session ended or was renewed
	ChangedUser    = "user"    // Key is a User.ID: disabled, all sessions ended; or given other roles
)
