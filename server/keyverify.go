package server

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// What verifyKey finds of a key.
const (
	keyValid     = "valid"
	keyUnknown   = "not_found"
	keyRevoked   = "revoked"
	keyExpired   = "expired"
	keyLacks     = "insufficient_scope"
	keyElsewhere = "ip_not_allowed"
)

// A verification is a key that a service was shown and asks about.
type verification struct {
	Key    string   `json:"key"`
	Scopes []string `json:"scopes"` // that it must hold, all of them
	IP     string   `json:"ip"`     // that it was sent from
}

// verifyKey tells a service that was shown a key whether it opens anything. It
// counts as no guess of anybody's: the service has its own credential, whose
// rates hold, and who sent the key is not known here. Whose the key is and what it
// holds is for its owner and for administrators.
func (s *Server) verifyKey(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadKeys)
	if err != nil {
		return err
	}
	var v verification
	var p problems
	if err := readJSON(ex, r, &v, &p); err != nil {
		return err
	}
	ip := v.check(&p)
	if err := p.err(); err != nil {
		return err
	}
	found, err := s.apiKeys.Lookup(ex.ctx, v.Key)
	if err != nil && !errors.Is(err, apikey.ErrNotFound) {
		return errKeysUnavailable.RetryAfter(time.Second).Because(err)
	}
	answer := struct {
		Valid bool     `json:"valid"`
		Code  string   `json:"code"`
		Key   *keyView `json:"key"`
	}{Code: keyUnknown}
	if err == nil {
		answer.Code = s.verdict(ex, found, v.Scopes, ip)
		if rec := found.Record(); a.owns(rec.Owner) {
			view := viewKey(rec, s.state.Load().policy, ex.start)
			answer.Key = &view
		}
	}
	answer.Valid = answer.Code == keyValid
	return writeJSON(ex, http.StatusOK, answer)
}

// check notes what is wrong with a verification, and reads its address.
func (v *verification) check(p *problems) netip.Addr {
	if (v.Key == "" || len(v.Key) > maxCredentialLength) && !p.has("key") {
		p.add("key", "is required: the whole key that was shown")
	}
	if v.IP == "" {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(v.IP)
	if err != nil {
		p.add("ip", "must be an IP address")
	}
	return ip.Unmap()
}

// verdict says what a key is good for. An address that is not known passes no
// allow-list.
func (s *Server) verdict(ex *exchange, key *apikey.Key, scopes []string, ip netip.Addr) string {
	rec := key.Record()
	switch key.Status(ex.start) {
	case apikey.Revoked:
		return keyRevoked
	case apikey.Expired:
		return keyExpired
	}
	switch {
	case !s.ownerStands(rec):
		return keyRevoked
	case !rec.Allows(ip):
		return keyElsewhere
	}
	st := s.state.Load()
	who := key.Value(st, func(k *apikey.Key) any { return s.principalOf(k, st) }).(*identity.Principal)
	for _, scope := range scopes {
		if !who.HasScope(scope) {
			return keyLacks
		}
	}
	if ip.IsValid() && key.Used(ex.start, ip) {
		s.suspect(ex, rec, suspicionNetwork)
	}
	return keyValid
}
