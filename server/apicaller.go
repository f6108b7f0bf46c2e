package server

import (
	"context"
	"errors"
	"net/http"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
	"wavegate/server/session"
)

// An apiCaller is who asks the management API, and for whom they act.
type apiCaller struct {
	who    *identity.Principal
	owner  string         // whose things are theirs; see identity.Principal.Owner
	userID string         // of a person with a session, or with an API key of one; "" for others
	admin  bool           // sees everybody's things
	key    *apikey.Record // of an API key that asks; nil for others
}

// owns reports whether the caller may see what belongs to owner. What they may
// not see looks as if it were not there.
func (c *apiCaller) owns(owner string) bool { return c.admin || owner == c.owner }

// actor names the caller in the audit log.
func (c *apiCaller) actor() string {
	if c.key != nil {
		return "api_key:" + c.key.ID
	}
	return c.owner
}

// apiCaller returns who asks, if they may do such a thing at all. Whose things
// they may do it with is the handler's question.
func (s *Server) apiCaller(ex *exchange, r *http.Request, what policy.Permission) (*apiCaller, error) {
	who, err := s.caller(ex, r)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := sameOrigin(ex, r); err != nil {
			return nil, err
		}
	}
	c := &apiCaller{who: who, owner: who.Owner, admin: s.admins.Has(who)}
	if ex.key != nil {
		c.key = ex.key.Record()
		c.userID = c.key.UserID
	}
	if !c.admin && !s.state.Load().policy.May(who, what) {
		return nil, lackingPermission(who, what)
	}
	if c.userID, err = s.userBehind(ex.ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// userBehind returns the ID of the user for whom the caller acts, "" for none.
func (s *Server) userBehind(ctx context.Context, c *apiCaller) (string, error) {
	if c.userID != "" || c.who.SessionID == "" || s.signIn == nil {
		return c.userID, nil
	}
	sess, err := s.signIn.sessions.ByID(ctx, c.who.SessionID)
	if errors.Is(err, session.ErrNoSession) {
		return "", errSignInNeeded
	}
	if err != nil {
		return "", storeError(err)
	}
	return sess.Record().UserID, nil
}

// lackingPermission refuses a caller and says what would have done.
func lackingPermission(who *identity.Principal, what policy.Permission) error {
	if who.Method == identity.MethodAPIKey {
		need := []string{string(what)}
		e := fault.New(http.StatusForbidden, "insufficient_scope",
			"This credential lacks the scope for the request; it needs: "+string(what)+", or a role that brings it.")
		return lacking(e.WithHeader("WWW-Authenticate", scopeChallenge(string(what))), "scope", need)
	}
	return lacking(errInsufficientRole, "scope", []string{string(what)})
}
