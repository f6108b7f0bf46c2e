package server

import (
	"errors"
	"net/http"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/identity"
)

// maxConnections is how many apps of one person are listed.
const maxConnections = 200

// A connectionView is an app that may act for a person, as the API shows it.
type connectionView struct {
	ClientID   string   `json:"client_id"`
	Name       string   `json:"name"`
	URI        *string  `json:"client_uri"`
	Scopes     []string `json:"scopes"`
	Remembered bool     `json:"remembered"` // nobody is asked the next time
	Grants     int      `json:"grants"`     // that work now
	CreatedAt  *string  `json:"created_at"`
	LastUsedAt *string  `json:"last_used_at"`
}

// listConnections lists the apps that may act for the person who asks.
func (s *Server) listConnections(ex *exchange, r *http.Request) error {
	who, _, err := s.manager(ex, r)
	if err != nil {
		return err
	}
	userID, err := s.personAsking(ex, who)
	if err != nil {
		return err
	}
	list, err := s.store.Connections(ex.ctx, userID, ex.start, maxConnections)
	if err != nil {
		return storeError(err)
	}
	views := make([]connectionView, 0, len(list))
	for _, c := range list {
		views = append(views, connectionView{
			c.ClientID, c.Name, orNull(c.URI), append([]string{}, c.Scopes...), c.Remembered, c.Grants,
			orNull(rfc3339(c.Since)), orNull(rfc3339(c.Used)),
		})
	}
	return writeJSON(ex, http.StatusOK, map[string]any{"connections": views})
}

// personAsking returns the ID of the person behind a browser session or its token.
// Apps are let in by people, and no key speaks for them there.
func (s *Server) personAsking(ex *exchange, who *identity.Principal) (string, error) {
	id, err := s.userOf(ex, who)
	if err == nil && id == "" {
		err = errSessionRequired
	}
	return id, err
}

var errSessionRequired = fault.New(http.StatusForbidden, "session_required",
	"This is for people who are signed in: send the browser session, or a session token of it.")

// deleteConnection ends what an app may do for the person who asks, at once.
func (s *Server) deleteConnection(ex *exchange, r *http.Request) error {
	who, _, err := s.manager(ex, r)
	if err != nil {
		return err
	}
	userID, err := s.personAsking(ex, who)
	if err != nil {
		return err
	}
	id := ex.args[0]
	d := deed{action: "grant.withdraw", target: id, owner: who.Owner}
	err = s.store.Disconnect(ex.ctx, userID, id, ex.start, s.journal(ex, &apiCaller{who: who, owner: who.Owner}, d))
	s.oauthChanged(authz.ChangedUser, userID)
	if errors.Is(err, authz.ErrNotFound) {
		return fault.NotFound()
	}
	if err != nil {
		return storeError(err)
	}
	ex.Header().Set("Cache-Control", "no-store")
	ex.WriteHeader(http.StatusNoContent)
	return nil
}
