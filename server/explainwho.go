package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"wavegate/keychain"
	"wavegate/keychain/apikey"
	"wavegate/server/identity"
	"wavegate/server/policy"
	"wavegate/server/session"
)

// An asserted is somebody whom an explanation is about: the Principal that the
// server would make of them, made from what is known without their credential.
type asserted struct {
	who  *identity.Principal // nil is nobody
	said []string            // what was found or assumed, in words
	bar  string              // the decision wherever a credential is wanted, whatever the policy says; "" is none
}

// An unknownError says that a name is nobody's, or not one person's alone: at the
// command line, where the name stands in front of whoever typed it, and in an answer
// of the API, which never repeats it.
type unknownError struct{ atHome, inAPI string }

// Error implements error with what is said by the API.
func (e *unknownError) Error() string { return e.inAPI }

// maxWho bounds the name of somebody whom an explanation is about, in bytes.
const maxWho = 1000

// whoIs finds somebody by a name. As in the policy, "key:" and "sub:" before it say
// which kind is meant.
func (c *console) whoIs(ctx context.Context, name string) (asserted, error) {
	if apikey.Holds(name) {
		return asserted{}, &unknownError{
			"that is an API key, not its ID, and now it stands in your shell's history: --list-api-keys shows the ID, which begins with key_",
			"holds an API key: write its ID, which begins with key_, and revoke the key if somebody could read along",
		}
	}
	if len(name) > maxWho || strings.ContainsFunc(name, isUnseen) {
		return asserted{}, &unknownError{
			"that is nobody's name: it is too long, or holds characters that cannot be seen",
			"is nobody's name: it is too long, or holds characters that cannot be seen",
		}
	}
	id, isKey := strings.CutPrefix(name, "key:")
	subject, isPerson := strings.CutPrefix(name, "sub:")
	switch {
	case name == "":
		return asserted{}, nil
	case strings.HasPrefix(id, "key_"):
		return c.whoIsAPIKey(ctx, id)
	case isPerson:
		return c.whoIsPerson(ctx, subject)
	}
	by, err := c.whoIsAccessKey(id)
	switch {
	case err != nil || by.who != nil:
		return by, err
	case isKey:
		return by, &unknownError{
			fmt.Sprintf("there is no access key %s in the keychain %s: -list-access-keys shows those that are", id, c.cfg.Keychain.Path),
			"is no access key that there is",
		}
	}
	return c.whoIsPerson(ctx, name)
}

func (c *console) whoIsAPIKey(ctx context.Context, id string) (asserted, error) {
	var rec apikey.Record
	err := apikey.ErrNotFound
	if c.store != nil {
		rec, err = c.store.Key(ctx, id)
	}
	if errors.Is(err, apikey.ErrNotFound) {
		return asserted{}, &unknownError{
			fmt.Sprintf("there is no API key %s: --list-api-keys shows those that are", id),
			"is no API key that there is: GET /v1/auth/keys?all=true shows those that are",
		}
	}
	if err != nil {
		return asserted{}, err
	}
	bar, err := c.barKey(ctx, &rec)
	return asserted{who: keyPrincipal(&rec, c.policy), said: sayKey(&rec), bar: bar}, err
}

// barKey is the decision about a key that opens nothing any more; "" for one that
// does.
func (c *console) barKey(ctx context.Context, rec *apikey.Record) (string, error) {
	switch rec.Status(time.Now()) {
	case apikey.Revoked:
		return decided(errRevokedKey.Code, errRevokedKey.Status, "the API key was revoked on "+rfc3339(rec.RevokedAt)), nil
	case apikey.Expired:
		return decided(errExpiredKey.Code, errExpiredKey.Status, "the API key expired on "+rfc3339(rec.ExpiresAt)), nil
	}
	if name, local := strings.CutPrefix(rec.Owner, localOwner); local {
		if there, err := c.isLocal(name); err != nil || !there {
			return decided(errOwnerGone.Code, errOwnerGone.Status, "the users file has nobody of the owner's name any more"), err
		}
	}
	if rec.UserID == "" {
		return "", nil
	}
	switch u, err := c.store.User(ctx, rec.UserID); {
	case errors.Is(err, session.ErrNoUser), err == nil && u.DisabledAt.IsZero():
		return "", nil
	default:
		return decided(errWrongAPIKey.Code, errWrongAPIKey.Status, "the person whose key it is was disabled on "+rfc3339(u.DisabledAt)), err
	}
}

// sayKey says what bounds a key beside the policy.
func sayKey(rec *apikey.Record) []string {
	var said []string
	if rec.Status(time.Now()) == apikey.Deprecated {
		said = append(said, "the API key was rotated and works until "+rfc3339(rec.ExpiresAt))
	}
	if len(rec.AllowedIPs) > 0 {
		said = append(said, fmt.Sprintf("the API key works from %s; from elsewhere every answer is %s (%d)",
			strings.Join(texts(rec.AllowedIPs), ", "), errIPNotAllowed.Code, errIPNotAllowed.Status))
	}
	for _, bound := range []struct {
		n    int64
		span string
	}{{rec.OpsLimit, "in all"}, {rec.Budget.PerDay, "a day"}, {rec.Budget.PerMonth, "a month"}} {
		if bound.n > 0 {
			said = append(said, fmt.Sprintf("the API key has %d operations %s; when they are used up every answer is 402", bound.n, bound.span))
		}
	}
	return said
}

// whoIsAccessKey returns nobody for an ID that neither keychain nor settings have.
func (c *console) whoIsAccessKey(id string) (asserted, error) {
	found, published, err := c.accessKey(id)
	if err != nil || !found {
		return asserted{}, err
	}
	var by asserted
	if published {
		by.said = []string{"this is the published key: it works from this machine alone"}
	}
	by.who = &identity.Principal{Method: identity.MethodAccessKey, Subject: id, Owner: "key:" + id, Username: id, KeyID: id}
	c.policy.Grant(by.who)
	return by, nil
}

// accessKey reports whether there is an access key of an ID, and whether it is the
// published one.
func (c *console) accessKey(id string) (found, published bool, err error) {
	if c.live {
		return c.keychain.Has(id), c.keychain.Has(id) && c.keychain.Published() && id == keychain.DefaultID, nil
	}
	cfg := c.cfg.Keychain
	ids, err := keychain.List(cfg.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, err
	}
	published = id == keychain.DefaultID && len(ids) == 0 && cfg.ID == "" && !cfg.Required
	return id == cfg.ID && id != "" || slices.Contains(ids, id) || published, published, nil
}

// whoIsPerson finds somebody who signed in before. Whoever did not is taken for
// what the name says: a subject of a trusted issuer, a local user, an address.
func (c *console) whoIsPerson(ctx context.Context, name string) (asserted, error) {
	users, err := c.usersCalled(ctx, name)
	switch {
	case err != nil:
		return asserted{}, err
	case len(users) > 1:
		var subjects []string
		for i := range users {
			subjects = append(subjects, c.subject(&users[i]))
		}
		choose := "name one by the subject: " + strings.Join(subjects, ", ")
		return asserted{}, &unknownError{
			fmt.Sprintf("%d people are called %s: %s", len(users), name, choose),
			fmt.Sprintf("is the name of %d people: %s", len(users), choose),
		}
	case len(users) == 1:
		return c.known(&users[0])
	case strings.HasPrefix(name, "usr_"):
		return asserted{}, &unknownError{"there is no user " + name, "is no user that there is: GET /v1/auth/users shows those that are"}
	}
	if by, ok := c.ofIssuer(name); ok {
		return by, nil
	}
	return c.newcomer(name)
}

// usersCalled returns the users who have a name as ID, subject or address.
func (c *console) usersCalled(ctx context.Context, name string) ([]session.User, error) {
	var found []session.User
	if c.store != nil && strings.HasPrefix(name, "usr_") {
		switch u, err := c.store.User(ctx, name); {
		case err == nil:
			return []session.User{u}, nil
		case !errors.Is(err, session.ErrNoUser):
			return nil, err
		}
	}
	for after := ""; c.store != nil; {
		list, err := c.store.Users(ctx, after, maxPage)
		if err != nil {
			return nil, err
		}
		for i := range list {
			u := &list[i]
			if name == c.subject(u) {
				return []session.User{*u}, nil
			}
			if name == u.Subject || u.Email != "" && strings.EqualFold(name, u.Email) {
				found = append(found, *u)
			}
		}
		if len(list) < maxPage {
			break
		}
		after = list[len(list)-1].ID
	}
	return found, nil
}

// subject is the name of a user that apps and the policy know.
func (c *console) subject(u *session.User) string {
	return subjectOf(u.Provider, u.Subject, func(name string) bool { return c.provider(name) != nil })
}

// provider returns the provider of the policy that has a name, or nil.
func (c *console) provider(name string) *policy.Provider {
	all := c.policy.Providers()
	if i := slices.IndexFunc(all, func(p policy.Provider) bool { return p.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// known is a user as a session would stand for them now.
func (c *console) known(u *session.User) (asserted, error) {
	by := asserted{
		who:  &identity.Principal{Method: identity.MethodSession, Subject: c.subject(u), Username: u.Username, Email: u.Email, Groups: u.Groups, Assigned: u.Roles},
		said: []string{"address and groups are those of " + rfc3339(u.SeenAt) + ", when the person signed in last"},
	}
	if from := c.provider(u.Provider); from != nil && from.Foreign {
		by.who.Email, by.who.Groups = "", nil
		by.said = []string{"the policy takes this provider's word on subjects alone: address and groups do not count"}
	}
	why, err := c.outside(u)
	if why != "" {
		by.bar = decided(errNoCredential.Code, errNoCredential.Status, why)
	}
	return c.granted(by), err
}

// outside says why a user cannot be signed in at all; "" for one who can.
func (c *console) outside(u *session.User) (why string, err error) {
	isLocal, err := c.isLocal(u.Subject)
	switch {
	case !u.DisabledAt.IsZero():
		return "the person was disabled on " + rfc3339(u.DisabledAt), nil
	case u.Provider == session.Local && err == nil && !isLocal:
		return "the users file " + c.cfg.Users.Path + " has nobody of that name any more", nil
	case u.Provider == mainProvider && c.cfg.SignIn.Issuer == "", u.Provider != session.Local && u.Provider != mainProvider && c.provider(u.Provider) == nil:
		return "the person's provider " + u.Provider + " is not among the settings", nil
	}
	return "", err
}

// isLocal reports whether the users file has a name; a missing one has none.
func (c *console) isLocal(name string) (bool, error) {
	if c.live {
		return c.signIn != nil && c.signIn.users.Has(name), nil
	}
	names, err := keychain.Users(c.cfg.Users.Path).List()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return slices.Contains(names, name), err
}

// ofIssuer takes a name like those of people with tokens of a trusted issuer.
func (c *console) ofIssuer(name string) (by asserted, ok bool) {
	from, _, _ := strings.Cut(name, "|")
	all := c.policy.Issuers()
	i := slices.IndexFunc(all, func(is policy.Issuer) bool { return strings.Contains(name, "|") && is.Name == from })
	if i < 0 {
		return asserted{}, false
	}
	by.who = &identity.Principal{Method: identity.MethodToken, Subject: name, Owner: "sub:" + name, Username: name}
	by.said = []string{"taken for somebody with a token of the issuer " + all[i].Issuer + "; scopes that a token claims are not known here"}
	c.policy.GrantIssued(by.who, &all[i], nil)
	return by, true
}

// newcomer is somebody who never signed in here.
func (c *console) newcomer(name string) (asserted, error) {
	local := strings.TrimPrefix(name, session.Local+"|")
	isLocal, err := c.isLocal(local)
	if err != nil {
		return asserted{}, err
	}
	by := asserted{
		who:  &identity.Principal{Method: identity.MethodSession, Subject: name, Username: name},
		said: []string{"nobody of that name is known yet: taken for a person without groups who signs in"},
	}
	if isLocal {
		by.who.Subject, by.who.Username = session.Local+"|"+local, local
		by.said = []string{"a local user, who has not signed in yet"}
	} else if strings.Contains(name, "@") {
		by.who.Email = name
	}
	return c.granted(by), nil
}

func (c *console) granted(by asserted) asserted {
	by.who.Owner = "sub:" + by.who.Subject
	c.policy.Grant(by.who)
	return by
}
