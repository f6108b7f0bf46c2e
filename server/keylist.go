package server

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"wavegate/keychain/apikey"
	"wavegate/server/policy"
	"wavegate/server/store"
)

// maxQuery bounds a text to look for, in characters.
const maxQuery = 200

// keyFilter reads what a list is to hold. Whatever is not the caller's own is for
// administrators.
func keyFilter(c *apiCaller, q url.Values) (store.KeyFilter, error) {
	f := store.KeyFilter{
		Owner: c.owner, Environment: apikey.Environment(q.Get("environment")), Status: apikey.Status(q.Get("status")),
		Role: q.Get("role"), Search: strings.TrimSpace(q.Get("q")),
	}
	var p problems
	if f.Environment != "" && !f.Environment.Valid() {
		p.add("environment", "must be live, test, dev or trial")
	}
	switch f.Status {
	case "", apikey.Active, apikey.Deprecated, apikey.Expired, apikey.Revoked:
	default:
		p.add("status", "must be active, deprecated, expired or revoked")
	}
	for field, text := range map[string]string{"role": f.Role, "q": f.Search, "owner": q.Get("owner")} {
		p.addUnsearchable(field, text)
	}
	sortKeys(&f, q, &p)
	switch all := q.Get("all"); all {
	case "", "false":
	case "true":
		f.All, f.Owner = true, ""
	default:
		p.add("all", "must be true or false")
	}
	if owner := q.Get("owner"); owner != "" {
		f.All, f.Owner = false, owner
	}
	if !c.admin && f.Owner != c.owner {
		return f, errNoAdmin
	}
	return f, p.err()
}

// addUnsearchable notes a text that nobody could look for.
func (p *problems) addUnsearchable(field, text string) {
	if utf8.RuneCountInString(text) > maxQuery || !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		p.add(field, "must be text of at most %d characters", maxQuery)
	}
}

// sortKeys reads in which order the keys are listed, and where the list goes on.
func sortKeys(f *store.KeyFilter, q url.Values, p *problems) {
	switch sort := store.KeySort(q.Get("sort")); sort {
	case "", "created_at":
	case store.ByName, store.ByLastUse, store.ByExpiry:
		f.Sort = sort
	default:
		p.add("sort", "must be created_at, name, last_used_at or expires_at")
	}
	switch order := q.Get("order"); order {
	case "", "desc":
	case "asc":
		f.Ascending = true
	default:
		p.add("order", "must be asc or desc")
	}
	cursor := q.Get("cursor")
	if cursor != "" && (f.Sort == store.ByCreation && !isKeyID(cursor) || !f.IsCursor(cursor)) {
		p.add("cursor", "must be the next_cursor of the page before, which was sorted the same way")
	}
}

// listKeys lists the caller's keys, the newest first unless ?sort= and ?order= say
// otherwise; administrators choose with ?owner= or see everybody's with ?all=true.
func (s *Server) listKeys(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadKeys)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return err
	}
	f, err := keyFilter(a.apiCaller, q)
	if err != nil {
		return err
	}
	list, err := s.store.Keys(ex.ctx, f, ex.start, q.Get("cursor"), limit+1)
	if err != nil {
		return keyError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], f.Cursor(list[limit-1])
	}
	return writeJSON(ex, http.StatusOK, struct {
		Keys []keyView `json:"api_keys"`
		Next string    `json:"next_cursor,omitempty"`
	}{viewKeys(list, s.state.Load().policy, ex.start), next})
}

// exportKeys writes the same keys as JSON lines, all of them, without what opens
// anything.
func (s *Server) exportKeys(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadKeys)
	if err != nil {
		return err
	}
	f, err := keyFilter(a.apiCaller, r.URL.Query())
	if err != nil {
		return err
	}
	f.Sort, f.Ascending = store.ByCreation, false // the one order in which no key changes its place
	list, err := s.store.Keys(ex.ctx, f, ex.start, "", maxPage)
	if err != nil {
		return keyError(err)
	}
	h := ex.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Content-Disposition", `attachment; filename="api-keys.jsonl"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	ex.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		s.streamKeys(ex, f, list)
	}
	return nil
}

// streamKeys writes page after page. An answer that cannot be made whole breaks
// off, so that nobody takes a part for all.
func (s *Server) streamKeys(ex *exchange, f store.KeyFilter, list []apikey.Record) {
	out := bufio.NewWriter(ex)
	lines := json.NewEncoder(out)
	for pol := s.state.Load().policy; len(list) > 0; {
		for _, v := range viewKeys(list, pol, ex.start) {
			if lines.Encode(v) != nil {
				return // the client is gone
			}
		}
		if len(list) < maxPage {
			break
		}
		var err error
		if list, err = s.store.Keys(ex.ctx, f, ex.start, f.Cursor(list[len(list)-1]), maxPage); err != nil {
			s.log.Warn("export broke off", "request_id", ex.ID, "error", err)
			panic(http.ErrAbortHandler)
		}
	}
	_ = out.Flush()
}

// listOwnKeys is the list of those systems that know no pages: the caller's newest
// keys, as a bare list.
func (s *Server) listOwnKeys(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadKeys)
	if err != nil {
		return err
	}
	list, err := s.store.Keys(ex.ctx, store.KeyFilter{Owner: a.owner}, ex.start, "", maxPage)
	if err != nil {
		return keyError(err)
	}
	return writeJSON(ex, http.StatusOK, viewKeys(list, s.state.Load().policy, ex.start))
}
