package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"time"
)

// A device authorization, and how often its code is asked for (RFC 8628, section 3.2).
const (
	deviceLifetime = 10 * time.Minute
	deviceInterval = 5 * time.Second
)

// User codes (RFC 8628, section 6.1): 20 to the 8th of them. Without vowels they
// make no words, and nothing in them looks like a digit.
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
	userCodeTries   = 5  // to find one that is free
	maxTyped        = 64 // bytes of what a person types
)

// A DeviceAnswer is what the device authorization endpoint answers (RFC 8628,
// section 3.2).
type DeviceAnswer struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"` // four letters, a dash, four letters
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"`
	Interval                int64  `json:"interval"`
}

// StartDevice begins a device authorization of an authenticated client, or of a
// public one. The error is an *Error.
func (p *Provider) StartDevice(ctx context.Context, c *Client, params Params, source string) (*DeviceAnswer, error) {
	switch {
	case !c.MayUse(GrantDevice):
		return nil, fail(UnauthorizedClient, "This client may not let devices in. Add the grant type "+GrantDevice+" to it.")
	case !p.cfg.Rules().SignIn:
		return nil, fail(UnsupportedGrant, "Nobody can sign in at this server.")
	}
	scopes, err := p.askedScopes(c, params.Get("scope"))
	if err != nil {
		return nil, err
	}
	resources, err := checkResources(p, params.All("resource"))
	if err != nil {
		return nil, err
	}
	code, now := newSecret("wgdc_"), p.now()
	d := Device{
		Hash: HashOf(code), ClientID: c.ID, Scopes: scopes, Resources: resources, Source: source, State: DevicePending,
		CreatedAt: stamp(now), ExpiresAt: stamp(now.Add(deviceLifetime)), Interval: deviceInterval,
	}
	if err := p.addDevice(ctx, &d, now); err != nil {
		return nil, keepError(err)
	}
	return p.deviceAnswer(code, d.UserCode), nil
}

// addDevice keeps d under a user code that is free.
func (p *Provider) addDevice(ctx context.Context, d *Device, now time.Time) error {
	var err error
	for range userCodeTries {
		d.UserCode = newUserCode()
		if err = p.store.AddDevice(ctx, *d, now, perSource, perClient); !errors.Is(err, ErrConflict) {
			break
		}
	}
	return err
}

func (p *Provider) deviceAnswer(code, user string) *DeviceAnswer {
	shown, page := user[:userCodeLength/2]+"-"+user[userCodeLength/2:], p.cfg.Endpoints.Device
	return &DeviceAnswer{
		DeviceCode: code, UserCode: shown,
		VerificationURI: page, VerificationURIComplete: withQuery(page, url.Values{"user_code": {shown}}),
		ExpiresIn: int64(deviceLifetime / time.Second), Interval: int64(deviceInterval / time.Second),
	}
}

// newUserCode returns a user code, all of them as likely: bytes that would favour
// some letters are thrown away.
func newUserCode() string {
	const fair = 256 / len(userCodeLetters) * len(userCodeLetters)
	code := make([]byte, 0, userCodeLength)
	var random [2 * userCodeLength]byte
	for len(code) < userCodeLength {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if int(b) < fair && len(code) < userCodeLength {
				code = append(code, userCodeLetters[int(b)%len(userCodeLetters)])
			}
		}
	}
	return string(code)
}

// A DeviceRequest is a device authorization that a person is asked about.
type DeviceRequest struct {
	Request // Client, Scopes and Resources alone
	Device  Device
}

// UserCode returns what a person typed as the store has it: upper case, without
// anything but the letters; "" where it cannot be a code.
func UserCode(typed string) string {
	if len(typed) > maxTyped {
		return ""
	}
	var code []byte
	for _, c := range typed {
		switch {
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case strings.ContainsRune(separators, c):
			continue
		}
		if !strings.ContainsRune(userCodeLetters, c) {
			return ""
		}
		code = append(code, byte(c))
	}
	if len(code) != userCodeLength {
		return ""
	}
	return string(code)
}

// separators are what people, and the programs that they copy with, put between and
// around letters: also dashes that a keyboard made of one, and spaces that do not break.
const separators = " \t\r\n-_.\u00a0\u2010\u2011\u2012\u2013\u2014\u2212"

// DeviceRequest finds the device authorization of a user code. Errors:
// ErrNotFound, or the store's.
func (p *Provider) DeviceRequest(ctx context.Context, typed string) (*DeviceRequest, error) {
	code := UserCode(typed)
	if code == "" {
		return nil, ErrNotFound
	}
	d, err := p.store.DeviceByUserCode(ctx, code, p.now())
	if err != nil {
		return nil, err
	}
	c, err := p.client(ctx, d.ClientID)
	if err != nil {
		return nil, err
	}
	return &DeviceRequest{Request: Request{Client: c, Scopes: d.Scopes, Resources: d.Resources, MaxAge: anyAge}, Device: d}, nil
}

// ApproveDevice lets the device in. Errors: ErrUsed, ErrEnded, an *Error where the
// person can give nothing (AccessDenied) or cannot be known now (Unavailable), or
// the store's.
func (p *Provider) ApproveDevice(ctx context.Context, r *DeviceRequest, a Approval) error {
	c, err := p.client(ctx, r.Device.ClientID)
	if errors.Is(err, ErrNotFound) || err == nil && !c.MayUse(GrantDevice) {
		return ErrEnded
	}
	if err != nil {
		return err
	}
	grant, e := p.agreed(ctx, c, &r.Request, a, r.Device.ExpiresAt)
	if e != nil {
		return e
	}
	return p.store.Authorize(ctx, Authorization{Grant: grant, Consent: p.remembered(grant, a), Device: r.Device.Hash}, p.now())
}

// DenyDevice refuses. Errors: ErrUsed, or the store's.
func (p *Provider) DenyDevice(ctx context.Context, r *DeviceRequest) error {
	return p.store.DenyDevice(ctx, r.Device.Hash, p.now())
}
