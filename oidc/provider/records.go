// Package provider is this server's own authorization server and OpenID
// provider: clients, the authorization, token, device, revocation and
// introspection endpoints as calls, the keys that sign tokens, and the memory of
// the access tokens in use.
//
// It serves no HTTP, shows no page and knows no session: package server reads
// requests, finds out which person sits before the browser, asks for consent, and
// renders what comes back. It keeps nothing on disk itself; a Store does, which is
// package store. Every rule of RFC 6749, 7636, 8628, 8707, 9068, 9126 and 9700 that
// decides about a request is here, and nowhere else.
package provider

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// Errors of Store. Any other error means that the store cannot be asked, so that
// nothing may be concluded: the answer is a 503.
var (
	ErrNotFound = errors.New("there is no such thing")
	ErrUsed     = errors.New("it was used before")         // a pushed request, an assertion, a device code
	ErrReplayed = errors.New("it was redeemed before")     // a code or a refresh token; what it gave is revoked
	ErrEnded    = errors.New("it has ended")               // the grant, the client or the person behind it
	ErrTooMany  = errors.New("there are too many of them") // open requests of one source or client
	ErrConflict = errors.New("it was changed meanwhile")
)

// A Hash names a secret in the store: its SHA-256. The secrets themselves have 256
// bits from the system's generator and are kept nowhere.
type Hash [sha256.Size]byte

// HashOf returns the Hash of a secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// A ClientType says whether a client can keep a secret (RFC 6749, section 2.1).
type ClientType string

// The types.
const (
	Confidential ClientType = "confidential"
	Public       ClientType = "public"
)

// The grant types that a client may have.
const (
	GrantCode              = "authorization_code"
	GrantRefresh           = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantDevice            = "urn:ietf:params:oauth:grant-type:device_code"
)

// The scopes that OpenID Connect gives a meaning. Every client may ask for them.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeOfflineAccess = "offline_access"
)

// A Client is an app that may ask for tokens. Times are UTC, milliseconds; the zero
// time is never.
type Client struct {
	ID     string // "client_" and 26 of a-z and 2-7
	Name   string // for people
	Type   ClientType
	Owner  string // whose it is, see identity.Principal.Owner
	UserID string // of the owner, where that is a person; "" for none

	RedirectURIs           []string // compared byte by byte; of loopback addresses any port
	PostLogoutRedirectURIs []string
	Scopes                 []string // that it may ask for, beside OpenID's own
	GrantTypes             []string
	PKCEOptional           bool   // of a confidential client: may ask without a challenge
	FirstParty             bool   // nobody is asked for consent; set by administrators alone
	Introspect             bool   // may ask about tokens of other clients; set by administrators alone
	Dynamic                bool   // registered itself (RFC 7591)
	JWKS                   []byte // public keys for private_key_jwt (RFC 7523); nil: it has secrets, or is public
	IDTokenAlg             string // RS256 (the default, "") or ES256
	URI                    string // its home page, https; "" for none
	Tier                   string // of its requests; "" is the policy's client_tier

	Secrets    []Secret // those that live; two at most
	CreatedAt  time.Time
	DisabledAt time.Time
	Version    int64 // raised by each change, from 1
}

// A Secret is a client's password, as it is kept.
type Secret struct {
	ID        string // "sec_…", names it in lists
	Hash      Hash
	Hint      string // its last four characters
	CreatedAt time.Time
	ExpiresAt time.Time // zero: for ever
}

// A Grant is what one person allowed one client at one time: the family of all
// tokens that come of it.
type Grant struct {
	ID        string // "grt_…"
	ClientID  string
	UserID    string   // session.User.ID
	Subject   string   // "sub" of its tokens
	Scopes    []string // what was allowed
	Resources []string // audience (RFC 8707); none is this server
	Nonce     string   // of the authorization request, for ID tokens; may be empty
	SID       string   // "sid" of ID tokens
	AuthTime  time.Time
	CreatedAt time.Time
	ExpiresAt time.Time // no token outlives it
	RevokedAt time.Time
}

// A Consent is what a person allowed a client for the next time too.
type Consent struct {
	UserID, ClientID string
	Scopes           []string
	Resources        []string
	GivenAt          time.Time // last
}

// A Code is an authorization code as it is kept.
type Code struct {
	Hash          Hash
	GrantID       string
	ClientID      string
	RedirectURI   string
	RedirectGiven bool   // the request named it, so that the token request has to
	Challenge     string // S256; "" for none
	ExpiresAt     time.Time
	ConsumedAt    time.Time
}

// A Refresh is a refresh token as it is kept.
type Refresh struct {
	Hash       Hash
	GrantID    string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	ConsumedAt time.Time
	Next       Hash // that replaced it; zero before it was used
}

// A Pushed is an authorization request that was pushed (RFC 9126).
type Pushed struct {
	Hash      Hash // of the request URI's random part
	ClientID  string
	Params    string // url-encoded
	Source    string // whence it came; bounds how many there are
	ExpiresAt time.Time
}

// The states of a Device.
const (
	DevicePending  = "pending"
	DeviceApproved = "approved"
	DeviceDenied   = "denied"
	DeviceUsed     = "used"
)

// A Device is a device authorization (RFC 8628).
type Device struct {
	Hash      Hash   // of the device code
	UserCode  string // without the dash; unique among those that have not expired
	ClientID  string
	Scopes    []string
	Resources []string
	Source    string // whence it came: bounds how many there are, and the person is shown it
	State     string
	GrantID   string // once approved
	CreatedAt time.Time
	ExpiresAt time.Time
	PolledAt  time.Time
	Interval  time.Duration // that polls must keep; grows with every poll that comes too early
}

// A SigningKey is a key that signs tokens, as it is kept.
type SigningKey struct {
	ID        string    // "kid": the RFC 7638 thumbprint
	Algorithm string    // ES256 or RS256
	Sealed    []byte    // private key, PKCS #8, sealed
	CreatedAt time.Time // published from then on
	UseAt     time.Time // signs from then on, until the next one does
	RetireAt  time.Time // verifies nothing any more, and is not published
}

// A TokenState is what the store says of an access token.
type TokenState struct {
	Revoked bool   // the token itself, its grant, its client or its person has ended
	UserID  string // of the grant; "" for a client's own token
	Grant   Grant  // zero for a client's own token
}

// An Authorization is what is written when a person agrees.
type Authorization struct {
	Grant   Grant
	Code    Code     // zero Hash: none, a device was approved
	Consent *Consent // to be remembered; nil for none. Its scopes are added to those of before
	Pushed  Hash     // used up by it; zero for none
	Device  Hash     // approved by it; zero for none
}

// A Store keeps what the provider must not forget. Its methods may be called by
// any number of goroutines and processes; each is one transaction. Where a method
// ends something, every process is told through the change table.
type Store interface {
	// Client returns a client, disabled ones too. Errors: ErrNotFound.
	Client(ctx context.Context, id string) (Client, error)

	// Push keeps a pushed request, if its source has fewer than perSource open ones
	// and its client fewer than perClient. Errors: ErrTooMany.
	Push(ctx context.Context, r Pushed, now time.Time, perSource, perClient int) error

	// Pushed returns an open pushed request that has not expired. Errors: ErrNotFound.
	Pushed(ctx context.Context, h Hash, now time.Time) (Pushed, error)

	// Authorize writes what a person agreed to. Errors: ErrUsed where the pushed
	// request or the device is not open any more, ErrEnded where the client or the
	// person is gone or disabled.
	Authorize(ctx context.Context, a Authorization, now time.Time) error

	// Consent returns what a person allowed a client. Errors: ErrNotFound.
	Consent(ctx context.Context, userID, clientID string) (Consent, error)

	// Code and Refresh look without using up. Errors: ErrNotFound.
	Code(ctx context.Context, h Hash) (Code, Grant, error)
	Refresh(ctx context.Context, h Hash) (Refresh, Grant, error)

	// RedeemCode uses a code up and asks decide, which must not call the store. Where
	// decide has an error, the code is burnt, nothing is given, and that error is
	// returned. Otherwise the grant ends at grantEnds, and first, unless its Hash is
	// zero, is its first refresh token. Of a person's grants to one client the oldest
	// beyond most are ended. A code that was used before ends its grant. Errors:
	// ErrNotFound, ErrReplayed, ErrEnded where the grant has ended.
	RedeemCode(ctx context.Context, h Hash, now time.Time, most int, decide func(Code, Grant) (first Refresh, grantEnds time.Time, err error)) (Grant, error)

	// Rotate replaces a refresh token by next, and moves the end of its grant to
	// grantEnds. One that was used less than grace ago is answered once more, if it
	// was replaced by one of candidates and that was not used yet: that one is
	// returned, and nothing is written. Any other one that was used before ends its
	// grant. Errors: ErrNotFound, ErrReplayed, ErrEnded.
	Rotate(ctx context.Context, h Hash, now time.Time, grace time.Duration, candidates []Hash, next Refresh, grantEnds time.Time) (Refresh, Grant, error)

	// RevokeGrant ends a grant with all its tokens. One that is not there is as it
	// should be.
	RevokeGrant(ctx context.Context, id string, now time.Time) error

	// RevokeToken ends one access token before its time.
	RevokeToken(ctx context.Context, jti string, expires time.Time) error

	// TokenState says what became of an access token; grantID is "" for a client's own.
	TokenState(ctx context.Context, jti, grantID, clientID string, now time.Time) (TokenState, error)

	// UseAssertion notes the ID of a client's assertion. Errors: ErrUsed.
	UseAssertion(ctx context.Context, clientID, jti string, expires time.Time) error

	// AddDevice keeps a device authorization; bounds as with Push. Errors: ErrTooMany,
	// ErrConflict where the user code is taken.
	AddDevice(ctx context.Context, d Device, now time.Time, perSource, perClient int) error

	// DeviceByUserCode returns a pending device authorization that has not expired.
	// Errors: ErrNotFound.
	DeviceByUserCode(ctx context.Context, code string, now time.Time) (Device, error)

	// DenyDevice refuses a pending device authorization. Errors: ErrUsed.
	DenyDevice(ctx context.Context, h Hash, now time.Time) error

	// PollDevice notes a poll and returns the state before it: PolledAt and Interval
	// are those of before, and a poll that comes before PolledAt + Interval raises the
	// stored Interval by slower. Errors: ErrNotFound, also for another client's.
	PollDevice(ctx context.Context, h Hash, clientID string, now time.Time, slower time.Duration) (Device, Grant, error)

	// RedeemDevice uses an approved device code up, as RedeemCode does with a code.
	// Errors: ErrNotFound, ErrUsed, ErrEnded.
	RedeemDevice(ctx context.Context, h Hash, now time.Time, most int, first Refresh, grantEnds time.Time) (Grant, error)

	// SigningKeys returns the keys that are not retired, oldest first.
	SigningKeys(ctx context.Context, now time.Time) ([]SigningKey, error)

	// AddSigningKeys keeps new keys and writes the times of those that there are, if
	// the keys that are kept are exactly those named by known, so that of several
	// processes one rotates. Errors: ErrConflict.
	AddSigningKeys(ctx context.Context, known []string, added, changed []SigningKey) error
}

// A Change is one line of the store's change table.
type Change struct{ Kind, Key string }

// The kinds of changes that a Provider follows.
const (
	ChangedClient = "oauth-client"       // Key is a Client.ID
	ChangedGrant  = "oauth-grant"        // Key is a Grant.ID: it ended
	ChangedToken  = "oauth-token"        // Key is the jti of an access token: it was revoked
	ChangedKeys   = "oauth-signing-keys" // Key is ""
	ChangedUser   = "user"               // Key is a user ID: disabled or enabled
)
