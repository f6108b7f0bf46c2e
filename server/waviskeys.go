package server

import (
	"cmp"
	"net/http"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

const (
	keysAnHour = 10 // that one owner may make in the short way
	usualRole  = policy.RoleDeveloper
	selfGrace  = usualGrace * time.Hour
)

var errKeysAnHour = fault.New(http.StatusTooManyRequests, "rate_limit_exceeded",
	"10 keys an hour can be made here. Wait as long as Retry-After says.")

// createUserKey makes a key for whoever is signed in, of whom only the environment
// has to be said.
func (s *Server) createUserKey(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteKeys)
	if err != nil {
		return err
	}
	var q struct {
		Environment *string `json:"environment"`
		Role        *string `json:"role"`
	}
	var p problems
	if _, err := readOnce(ex, r, &a, &q, &p); err != nil {
		return err
	}
	if q.Environment == nil && !p.has("environment") {
		p.add("environment", "is required: live, test or dev")
	}
	role := cmp.Or(q.Role, new(usualRole))
	name := *role + " key"
	made, err := s.createCounted(ex, a, &keyRequest{Name: &name, Environment: q.Environment, Role: role}, p)
	if err != nil {
		return err
	}
	if made.replayed {
		warning(ex, &made)
	}
	return writeJSON(ex, http.StatusCreated, struct {
		Key         string             `json:"key,omitempty"`
		ID          string             `json:"id"`
		Prefix      string             `json:"prefix"`
		CreatedAt   string             `json:"created_at"`
		Environment apikey.Environment `json:"environment"`
		Replayed    bool               `json:"replayed,omitempty"`
	}{made.secret, made.ID, made.Prefix, rfc3339(made.CreatedAt), made.Environment, made.replayed})
}

// createCounted makes one of the keys that an owner has in an hour. What was made
// before is shown again whatever the count.
func (s *Server) createCounted(ex *exchange, a asker, q *keyRequest, p problems) (issued, error) {
	k := s.keyService()
	at, wait := s.keysMade.take(a.owner, keysAnHour, ex.start)
	if wait > 0 {
		e := errKeysAnHour.RetryAfter(wait)
		return k.madeBefore(ex.ctx, a, e.WithHeader("X-RateLimit-Retry-After", e.Header.Get("Retry-After")))
	}
	made, err := k.create(ex.ctx, a, q, p)
	if err != nil || made.replayed {
		s.keysMade.giveBack(a.owner, at)
	}
	return made, err
}

var errOnlyKeys = fault.New(http.StatusForbidden, "key_required",
	"Only an API key can rotate itself: send the key that is to be replaced.")

// rotateSelf replaces the API key that asks, whatever else it may do.
func (s *Server) rotateSelf(ex *exchange, r *http.Request) error {
	who, err := s.caller(ex, r)
	if err != nil {
		return err
	}
	if who.Method != identity.MethodAPIKey || ex.key == nil {
		return errOnlyKeys
	}
	rec := ex.key.Record()
	if rec.Environment == apikey.Trial {
		return fault.New(http.StatusForbidden, "insufficient_role", "A trial key cannot be rotated. Get a key of your own.")
	}
	a, err := s.asking(ex, &apiCaller{who: who, owner: who.Owner, userID: rec.UserID, key: rec})
	if err != nil {
		return err
	}
	var q struct{}
	var p problems
	if _, err := readOnce(ex, r, &a, &q, &p); err != nil {
		return err
	}
	if err := p.err(); err != nil {
		return err
	}
	a.once = a.once.About(rec.ID)
	done, err := s.keyService().rotate(ex.ctx, a, rec.ID, selfGrace)
	if err != nil {
		return err
	}
	warning(ex, &done.next)
	return writeJSON(ex, http.StatusOK, struct {
		NewKey      string             `json:"new_api_key,omitempty"`
		OldPrefix   string             `json:"old_key_prefix"`
		GraceEnds   string             `json:"grace_period_ends_at"`
		Environment apikey.Environment `json:"environment"`
		Replayed    bool               `json:"replayed,omitempty"`
	}{done.next.secret, done.old.Prefix, rfc3339(done.old.ExpiresAt), done.next.Environment, done.next.replayed})
}
