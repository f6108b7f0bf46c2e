package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/policy"
)

const (
	maxImportBody     = 16 << 20 // bytes
	maxImportProblems = 100      // that are named
)

var errImportTooLarge = fault.New(http.StatusRequestEntityTooLarge, "too_large",
	fmt.Sprintf("An import can have %d MB. Send it in parts.", maxImportBody>>20))

// importKeys takes keys that were made elsewhere, by their hashes, from
// administrators: all of them, or none where anything is wrong.
func (s *Server) importKeys(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.WriteKeys)
	if err != nil {
		return err
	}
	if !a.admin {
		return errNoAdmin
	}
	raw, err := readBody(ex, r, maxImportBody)
	if refusedWith(err, errBodyTooLarge.Code) {
		return errImportTooLarge
	}
	if err != nil {
		return err
	}
	list, err := apikey.ParseImport(bytes.NewReader(raw))
	if err != nil {
		return importError(err)
	}
	added, err := s.keyService().take(ex.ctx, a, list)
	if err != nil {
		return err
	}
	return writeJSON(ex, http.StatusOK, map[string]int{"imported": added, "known_already": len(list) - added})
}

// importError names every problem that reading found.
func importError(err error) error {
	found, ok := errors.AsType[*apikey.ImportError](err)
	if !ok {
		return err
	}
	var p problems
	for _, one := range found.Problems {
		p.add(importField(one.Line, one.Field), "%s", one.Message)
	}
	if found.More {
		p.add("body", "has more problems than these: mend them first")
	}
	return p.err()
}

// importField names a field of a line, "" for the whole line.
func importField(line int, field string) string {
	switch {
	case line == 0:
		return cmp.Or(field, "body")
	case field == "":
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("line %d: %s", line, field)
}

// take adds keys that were made elsewhere, and returns how many were not there
// yet. Those without owner are the caller's.
func (k *keyService) take(ctx context.Context, a asker, list []apikey.Imported) (added int, err error) {
	owners, err := k.importOwners(ctx, a.apiCaller, list)
	if err != nil {
		return 0, err
	}
	var p problems
	var beyond []string
	records := make([]apikey.Record, 0, len(list))
	for i := range list {
		if len(p) >= maxImportProblems || len(beyond) >= maxImportProblems {
			break
		}
		rec := k.importRecord(a.apiCaller, &list[i], owners, &p)
		for _, what := range k.beyond(a.apiCaller, &rec) {
			beyond = append(beyond, importField(list[i].Line, what))
		}
		records = append(records, rec)
	}
	if err := p.err(); err != nil {
		return 0, err
	}
	if err := exceeding(beyond); err != nil {
		return 0, err
	}
	j := a.note(deed{"key.import", "", a.owner, map[string]string{"keys": strconv.Itoa(len(records))}})
	if added, err = k.store.ImportKeys(ctx, records, j); err != nil {
		return 0, keyError(err)
	}
	for i := range records {
		k.told(records[i].ID)
	}
	return added, nil
}

// importOwners finds everybody whom the lines name.
func (k *keyService) importOwners(ctx context.Context, c *apiCaller, list []apikey.Imported) (map[string]keyOwner, error) {
	names := map[string]bool{}
	for i := range list {
		if name := list[i].Record.Owner; name != "" && name != c.owner {
			names[name] = true
		}
	}
	if len(names) == 0 || k.resolve == nil {
		return nil, nil //nolint:nilnil // nobody is named, or nobody can be
	}
	owners, err := k.resolve(ctx, slices.Sorted(maps.Keys(names))...)
	return owners, keyError(err)
}

// importRecord is the record of a line, whose fields are checked as those of a new
// key are.
func (k *keyService) importRecord(c *apiCaller, in *apikey.Imported, owners map[string]keyOwner, p *problems) apikey.Record {
	rec := in.Record
	now := k.now()
	rec.ID = apikey.NewID()
	rec.Account, rec.CreatedAt, rec.Version = rec.ID, now, 1
	rec.Name = cmp.Or(rec.Name, "imported key")
	var found problems
	rec.Name = checkName(rec.Name, &found)
	checkDescription(rec.Description, &found)
	if hidesKey(rec.Metadata) {
		found.add("metadata", holdsKey)
	}
	checkEnvironment(string(rec.Environment), &found)
	checkScopes(rec.Scopes, k.policy, &found)
	if rec.Role != "" {
		checkRole(rec.Role, k.policy, &found)
	}
	if rec.Tier != "" {
		checkTier(rec.Tier, k.policy, &found)
	}
	if !rec.ExpiresAt.IsZero() && !rec.ExpiresAt.After(now) {
		found.add("expires_at", "must be in the future")
	}
	who, ok := owners[rec.Owner]
	switch {
	case rec.Owner == "" || rec.Owner == c.owner:
		who = keyOwner{c.owner, c.userID}
	case !ok:
		found.add("owner", noOwner)
	}
	rec.Owner, rec.UserID = who.owner, who.userID
	for _, f := range found {
		p.add(importField(in.Line, f.Field), "%s", f.Message)
	}
	return rec
}

// refusedWith reports whether err is the answer with the code.
func refusedWith(err error, code string) bool { return err != nil && fault.From(err).Code == code }
