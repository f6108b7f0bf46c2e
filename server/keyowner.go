package server

import (
	"context"
	"errors"
	"strings"

	"wavegate/keychain/apikey"
	"wavegate/server/session"
)

// A keyOwner is somebody whose keys are made by an administrator.
type keyOwner struct{ owner, userID string }

// resolveOwners finds people by ID (usr_…) or subject (sub:…), and access keys by
// ID (key:…). A subject that never signed in here is somebody whom a trusted
// issuer knows. Users who are disabled are nobody, nor are local ones whom the
// users file does not name.
func (s *Server) resolveOwners(ctx context.Context, names ...string) (map[string]keyOwner, error) {
	found, subjects := map[string]keyOwner{}, map[string]bool{}
	for _, name := range names {
		kind, id, _ := strings.Cut(name, ":")
		switch {
		case kind == "key" && s.keychain.Key(id) != nil:
			found[name] = keyOwner{owner: name}
		case kind == "sub" && id != "" && !apikey.Holds(id) && s.ownerStands(&apikey.Record{Owner: name}):
			found[name] = keyOwner{owner: name}
			subjects[name] = true
		case strings.HasPrefix(name, "usr_") && s.signIn != nil:
			u, err := s.signIn.sessions.User(ctx, name)
			if errors.Is(err, session.ErrNoUser) || err == nil && !u.DisabledAt.IsZero() {
				continue
			}
			if err != nil {
				return nil, err
			}
			found[name] = keyOwner{s.ownerOf(&u), u.ID}
		}
	}
	return found, s.resolveSubjects(ctx, subjects, found)
}

// resolveSubjects goes through the users for those who have one of the subjects.
func (s *Server) resolveSubjects(ctx context.Context, subjects map[string]bool, found map[string]keyOwner) error {
	if len(subjects) == 0 || s.signIn == nil {
		return nil
	}
	after := ""
	for {
		users, err := s.signIn.sessions.Users(ctx, after, maxPage)
		if err != nil {
			return err
		}
		for i := range users {
			u := &users[i]
			if name := s.ownerOf(u); !subjects[name] {
				continue
			} else if u.DisabledAt.IsZero() {
				found[name] = keyOwner{name, u.ID}
			} else {
				delete(found, name)
			}
		}
		if len(users) < maxPage {
			return nil
		}
		after = users[len(users)-1].ID
	}
}

// ownerOf is the name under which things belong to a user.
func (s *Server) ownerOf(u *session.User) string {
	return "sub:" + s.signIn.providers.Load().subject(u.Provider, u.Subject)
}
