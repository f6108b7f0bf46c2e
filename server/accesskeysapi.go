package server

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"wavegate/keychain"
	"wavegate/server/fault"
	"wavegate/server/identity"
)

// An accessKeyView is an access key as the API shows it.
type accessKeyView struct {
	ID     string   `json:"id"`
	Roles  []string `json:"roles"`
	Scopes []string `json:"scopes"`
	Listed bool     `json:"listed"` // the policy says what it holds
	Source string   `json:"source"` // one of the from… words
	InUse  bool     `json:"in_use"` // it opened something since this process started
}

// Where an access key comes from.
const (
	fromFile      = "file"      // the keychain
	fromSettings  = "settings"  // -access-key-id
	fromNowhere   = "published" // the pair of the documentation, while there is no other
	noteOnce      = "This is the only time that the secret is shown. Keep it where secrets are kept."
	noteAll       = " The policy does not name this key, so it may do everything."
	notePublished = " The published default key opens nothing any more."
)

var (
	errOwnKey = fault.New(http.StatusConflict, "own_access_key",
		"This very key asks. Remove it with another credential of an administrator.")
	errKeyOfSettings = fault.New(http.StatusConflict, "access_key_in_settings",
		"This key is given by -access-key-id (WAVEGATE_ACCESS_KEY_ID). Take it out of the settings and restart the server.")
	errPublishedKey = fault.New(http.StatusConflict, "access_key_published",
		"The published default key is in no file. It ends as soon as there is a key of your own: make one.")
	errAccessKeyExists = fault.New(http.StatusConflict, "access_key_exists",
		"There is an access key of this ID. Choose another, or leave the ID out for a random one.")
	errKeychain = fault.New(http.StatusInternalServerError, "internal",
		"The keychain could not be written. Nothing was changed; the log says why.")
)

// listAccessKeys lists the access keys that work now, for administrators.
func (s *Server) listAccessKeys(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	views := []accessKeyView{}
	for _, id := range s.keychain.IDs() {
		if key := s.keychain.Key(id); key != nil {
			views = append(views, s.viewAccessKey(key))
		}
	}
	return writeJSON(ex, http.StatusOK, struct {
		Keys []accessKeyView `json:"access_keys"`
		File string          `json:"file"`
	}{views, s.cfg.Keychain.Path})
}

func (s *Server) viewAccessKey(key *keychain.Key) accessKeyView {
	rules := s.state.Load().policy
	who := &identity.Principal{Method: identity.MethodAccessKey, KeyID: key.ID}
	rules.Grant(who)
	_, used := s.keys.Load(key)
	return accessKeyView{
		ID: key.ID, Roles: append([]string{}, who.Roles...), Scopes: append([]string{}, who.Scopes...),
		Listed: rules.Lists(key.ID), Source: s.sourceOf(key), InUse: used,
	}
}

// sourceOf says where a key comes from. One of the settings may be in the file too.
func (s *Server) sourceOf(key *keychain.Key) string {
	switch {
	case key.ID == s.cfg.Keychain.ID:
		return fromSettings
	case key.Published && key.Stamp == "":
		return fromNowhere
	}
	return fromFile
}

// createAccessKey adds a key to the keychain. It works at once.
func (s *Server) createAccessKey(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	if err := s.needFresh(ex); err != nil {
		return err
	}
	var q struct {
		ID string `json:"id"`
	}
	var p problems
	if err := readJSON(ex, r, &q, &p); err != nil {
		return err
	}
	if err := p.err(); err != nil {
		return err
	}
	published := s.keychain.Published()
	id, secret, err := s.addAccessKey(ex, q.ID)
	if err != nil {
		return err
	}
	s.log.Info("access key created", "request_id", ex.ID, "key", id, "by", ex.Principal.Subject)
	note := noteOnce
	if !s.state.Load().policy.Lists(id) {
		note += noteAll
	}
	if published && !s.keychain.Published() {
		note += notePublished
	}
	var made struct {
		Key struct {
			ID     string `json:"id"`
			Secret string `json:"secret"`
		} `json:"access_key"`
		Warning string `json:"warning"`
	}
	made.Key.ID, made.Key.Secret, made.Warning = id, secret, note
	return writeJSON(ex, http.StatusCreated, made)
}

// addAccessKey writes a key to the file, reads it, and writes the deed down. A key
// whose secret nobody gets to see does not stay.
func (s *Server) addAccessKey(ex *exchange, wanted string) (id, secret string, err error) {
	path := s.cfg.Keychain.Path
	if s.keychain.Has(wanted) { // also one that is in no file
		return "", "", errAccessKeyExists
	}
	if id, secret, err = keychain.CreateID(path, wanted); err != nil {
		return "", "", s.keychainError(err)
	}
	err = s.readAgain(s.reloadKeychain)
	if err == nil {
		err = s.noteDeed(ex, ex.Principal, deed{action: "access_key.create", target: id, owner: "key:" + id})
	}
	if err == nil {
		return id, secret, nil
	}
	if undo := errors.Join(keychain.Remove(path, id), s.readAgain(s.reloadKeychain)); undo != nil {
		s.log.Error("an access key that nobody knows could not be taken back: remove it", "key", id, "error", undo)
	}
	return "", "", err
}

// keychainError is the answer where the keychain refuses a change.
func (s *Server) keychainError(err error) error {
	switch {
	case errors.Is(err, keychain.ErrIDExists):
		return errAccessKeyExists
	case errors.Is(err, keychain.ErrInvalid):
		var p problems
		p.add("id", "%s", strings.TrimPrefix(err.Error(), "the ID "))
		return p.err()
	case errors.Is(err, keychain.ErrUnknownID), errors.Is(err, fs.ErrNotExist):
		return fault.NotFound()
	}
	s.log.Error("keychain", "error", err)
	return errKeychain.Because(err)
}

// deleteAccessKey takes the key that the path names out of the keychain.
func (s *Server) deleteAccessKey(ex *exchange, r *http.Request) error {
	return s.endAccessKey(ex, r, ex.args[0])
}

// deleteAccessKeyOf takes the key of ?id= out of the keychain: IDs may hold what a
// path cannot, such as a slash.
func (s *Server) deleteAccessKeyOf(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil { // before anything is said about the query
		return err
	}
	q := newQuery(r)
	id := q.text("id")
	if id == "" {
		q.add("id", "is needed: that of the access key")
	}
	if err := q.end(); err != nil {
		return err
	}
	return s.endAccessKey(ex, r, id)
}

// endAccessKey takes a key out of the keychain. It works no more, and requests under
// way with it end.
func (s *Server) endAccessKey(ex *exchange, r *http.Request, id string) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	if err := s.needFresh(ex); err != nil {
		return err
	}
	if err := s.mayRemove(ex.Principal, id); err != nil {
		return err
	}
	if err := s.removeAccessKey(ex, id); err != nil {
		return err
	}
	s.log.Info("access key removed", "request_id", ex.ID, "key", id, "by", ex.Principal.Subject)
	ex.WriteHeader(http.StatusNoContent)
	return nil
}

// mayRemove refuses what would lock out whoever asks, and keys that the file does
// not decide about.
func (s *Server) mayRemove(who *identity.Principal, id string) error {
	if who.Method == identity.MethodAccessKey && who.KeyID == id {
		return errOwnKey
	}
	key := s.keychain.Key(id)
	if key == nil {
		return nil // made a moment ago, or not there: the file says which
	}
	switch s.sourceOf(key) {
	case fromSettings:
		return errKeyOfSettings
	case fromNowhere:
		return errPublishedKey
	}
	return nil
}

// removeAccessKey writes the deed down first: whoever reads the log must not miss one.
func (s *Server) removeAccessKey(ex *exchange, id string) error {
	path := s.cfg.Keychain.Path
	ids, err := keychain.List(path)
	if err != nil {
		return s.keychainError(err)
	}
	if !slices.Contains(ids, id) {
		return fault.NotFound()
	}
	d := deed{action: "access_key.remove", target: id, owner: "key:" + id}
	if err := s.noteDeed(ex, ex.Principal, d); err != nil {
		return err
	}
	err = keychain.Remove(path, id)
	if err == nil || errors.Is(err, keychain.ErrUnknownID) { // somebody else was faster
		return s.readAgain(s.reloadKeychain)
	}
	j := s.journal(ex, &apiCaller{who: ex.Principal, owner: ex.Principal.Owner}, d)
	j.Audit[0].Outcome = "failed"
	s.noteLater(j)
	return s.keychainError(err)
}
