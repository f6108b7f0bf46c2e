package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/policy"
	"wavegate/server/session"
)

// A userView is a user as the API shows it.
type userView struct {
	ID          string   `json:"id"`
	Provider    string   `json:"provider"`
	Subject     string   `json:"subject"`
	Username    string   `json:"username"`
	Email       string   `json:"email,omitempty"`
	Groups      []string `json:"groups"`
	Roles       []string `json:"roles"`        // that administrators gave
	PolicyRoles []string `json:"policy_roles"` // that the policy gives, going by the last sign-in
	CreatedAt   string   `json:"created_at"`
	SeenAt      string   `json:"last_sign_in_at"`
	DisabledAt  string   `json:"disabled_at,omitempty"`
}

// listUsers lists whoever signed in at least once, for administrators.
func (s *Server) listUsers(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	q := r.URL.Query()
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return err
	}
	search := strings.TrimSpace(q.Get("q"))
	var p problems
	p.addUnsearchable("q", search)
	if err := p.err(); err != nil {
		return err
	}
	list, err := s.signIn.sessions.FindUsers(ex.ctx, search, q.Get("cursor"), limit+1)
	if err != nil {
		return storeError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	views := make([]userView, 0, len(list))
	for _, u := range list {
		views = append(views, s.viewUser(u))
	}
	return writeJSON(ex, http.StatusOK, struct {
		Users []userView `json:"users"`
		Next  string     `json:"next_cursor,omitempty"`
	}{views, next})
}

func (s *Server) viewUser(u session.User) userView {
	return userView{
		ID: u.ID, Provider: u.Provider, Subject: s.signIn.providers.Load().subject(u.Provider, u.Subject),
		Username: u.Username, Email: u.Email, Groups: append([]string{}, u.Groups...),
		Roles: append([]string{}, u.Roles...), PolicyRoles: s.policyRoles(u),
		CreatedAt: rfc3339(u.CreatedAt), SeenAt: rfc3339(u.SeenAt), DisabledAt: rfc3339(u.DisabledAt),
	}
}

// policyRoles are the roles of somebody to whom no administrator gave any.
func (s *Server) policyRoles(u session.User) []string {
	u.Roles = nil
	return append([]string{}, s.userPrincipal(&u, s.state.Load().policy).Roles...)
}

// getUser shows one user to an administrator.
func (s *Server) getUser(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	return s.answerUser(ex, ex.args[0])
}

func (s *Server) answerUser(ex *exchange, id string) error {
	u, err := s.signIn.sessions.User(ex.ctx, id)
	if errors.Is(err, session.ErrNoUser) {
		return fault.NotFound()
	}
	if err != nil {
		return storeError(err)
	}
	return writeJSON(ex, http.StatusOK, map[string]userView{"user": s.viewUser(u)})
}

// A userChange is what is to be changed of a user; nil stays.
type userChange struct {
	Disabled *bool     `json:"disabled"`
	Roles    *[]string `json:"roles"` // all that administrators give: it replaces what was
}

// check notes what is wrong with a change, and puts the roles in order.
func (q *userChange) check(rules *policy.Policy, p *problems) {
	if q.Disabled == nil && q.Roles == nil && len(*p) == 0 {
		p.add("body", `names nothing to change: it is {"disabled": true}, {"roles": ["…"]} or both`)
	}
	if q.Roles == nil {
		return
	}
	for i, name := range *q.Roles {
		switch field := fmt.Sprintf("roles[%d]", i); {
		case !rules.HasRole(name):
			p.add(field, noSuchRole)
		case slices.Contains((*q.Roles)[:i], name):
			p.add(field, "is given twice")
		}
	}
	slices.Sort(*q.Roles)
}

// changeUser gives a user other roles, or disables them, which ends their sessions, or
// enables them again.
func (s *Server) changeUser(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	if err := s.needFresh(ex); err != nil {
		return err
	}
	var q userChange
	var p problems
	if err := readJSON(ex, r, &q, &p); err != nil {
		return err
	}
	q.check(s.state.Load().policy, &p)
	if err := p.err(); err != nil {
		return err
	}
	id := ex.args[0]
	err := s.adoptKeys(ex.ctx, id)
	if err == nil && q.Roles != nil {
		err = s.setRoles(ex, id, *q.Roles)
	}
	if err == nil && q.Disabled != nil {
		err = s.setDisabled(ex, id, *q.Disabled)
	}
	s.apiKeys.ChangedUser(id)
	s.oauthChanged(authz.ChangedUser, id)
	switch {
	case errors.Is(err, session.ErrNoUser):
		return fault.NotFound()
	case errors.Is(err, session.ErrConflict):
		return errUserChanged
	case err != nil:
		return storeError(err)
	}
	return s.answerUser(ex, id)
}

var errUserChanged = fault.New(http.StatusConflict, "conflict",
	"Others change the roles of this user at the same time. Look at what they are now, then try again.")

// setRoles makes roles all that administrators give to a user.
func (s *Server) setRoles(ex *exchange, id string, roles []string) error {
	const most = 3 // others who change them at the same time
	for try := 1; ; try++ {
		u, err := s.signIn.sessions.User(ex.ctx, id)
		if err != nil || slices.Equal(u.Roles, roles) {
			return err
		}
		d := deed{action: "user.roles", target: id, owner: s.ownerOf(&u), details: map[string]string{
			"old": strings.Join(u.Roles, " "), "new": strings.Join(roles, " "),
		}}
		err = s.signIn.sessions.SetRoles(s.withDeed(ex, ex.Principal, d), id, u.RolesVersion, roles)
		if errors.Is(err, session.ErrConflict) && try < most {
			continue
		}
		if err == nil {
			s.log.Info("user changed", "request_id", ex.ID, "user", id, "roles", roles, "by", ex.Principal.Subject)
		}
		return err
	}
}

func (s *Server) setDisabled(ex *exchange, id string, disabled bool) error {
	var at time.Time
	action := "user.enable"
	if disabled {
		at = time.Now()
		action = "user.disable"
	}
	err := s.signIn.sessions.SetDisabled(s.withDeed(ex, ex.Principal, deed{action: action, target: id}), id, at)
	if err == nil {
		s.log.Info("user changed", "request_id", ex.ID, "user", id, "disabled", disabled, "by", ex.Principal.Subject)
	}
	return err
}

// adoptKeys has a user's API keys known as theirs, also those that were made in
// their name before they first signed in.
func (s *Server) adoptKeys(ctx context.Context, id string) error {
	u, err := s.signIn.sessions.User(ctx, id)
	if err != nil {
		return err
	}
	ids, err := s.store.AdoptKeys(ctx, s.ownerOf(&u), u.ID)
	for _, key := range ids {
		s.apiKeys.Changed(key)
	}
	return err
}
