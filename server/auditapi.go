package server

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"wavegate/server/audit"
	"wavegate/server/fault"
	"wavegate/server/policy"
	"wavegate/server/store"
)

// verifyFor is how long a walk along the audit log may take that somebody asked
// for over HTTP.
const verifyFor = 20 * time.Second

var errVerifyBusy = fault.New(http.StatusServiceUnavailable, "busy",
	"The audit log is being verified already. Try again when that is done.")

// auditFilter reads which entries a caller asks for. Who is no administrator sees
// what is theirs: what they did, and what was done to their things.
func (c *apiCaller) auditFilter(q *query) store.AuditFilter {
	f := store.AuditFilter{
		Actor: q.text("actor"), Action: q.text("action"), Target: q.text("target"), Outcome: q.text("outcome"), IP: q.text("ip"),
		From: q.time("from"), To: q.time("to"),
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		q.add("to", "must be after from")
	}
	if !c.admin {
		f.Mine = c.owner
	}
	return f
}

// listAudit lists entries, the newest first.
func (s *Server) listAudit(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.ReadAudit)
	if err != nil {
		return err
	}
	q := newQuery(r)
	f := c.auditFilter(q)
	before, limit := q.sequence("cursor"), q.number("limit", defaultPage, maxPage)
	if err := q.end(); err != nil {
		return err
	}
	list, err := s.store.Audit(ex.ctx, f, before, limit+1)
	if err != nil {
		return storeError(err)
	}
	next := ""
	if len(list) > limit {
		list, next = list[:limit], strconv.FormatInt(list[limit-1].Seq, 10)
	}
	return writeJSON(ex, http.StatusOK, struct {
		Entries []audit.Entry `json:"entries"`
		Next    string        `json:"next_cursor,omitempty"`
	}{append([]audit.Entry{}, list...), next})
}

// sequence returns the sequence number of an entry, 0 where none is given.
func (q *query) sequence(name string) int64 {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		q.add(name, "must be the next_cursor of the answer before")
		return 0
	}
	return n
}

// exportAudit sends entries as a file, the oldest first. Where reading breaks off
// half-way, so does the connection: half a log must not look like a whole one.
func (s *Server) exportAudit(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.ReadAudit)
	if err != nil {
		return err
	}
	q := newQuery(r)
	f := c.auditFilter(q)
	format := q.one("format", "jsonl", "csv")
	if err := q.end(); err != nil {
		return err
	}
	entries, stop, err := peeked(s.store.AuditAll(ex.ctx, f, 0))
	defer stop()
	if err != nil {
		return storeError(err)
	}
	write := audit.WriteJSONLines
	kind := "application/jsonl"
	if format == "csv" {
		write, kind = audit.WriteCSV, "text/csv; charset=utf-8; header=present"
	}
	download(ex, kind, "audit-"+time.Now().UTC().Format(time.DateOnly)+"."+format)
	if err := write(ex, entries); err != nil {
		s.log.Warn("export of the audit log broke off", "request_id", ex.ID, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// download begins an answer that browsers save as a file.
func download(ex *exchange, contentType, name string) {
	h := ex.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	ex.WriteHeader(http.StatusOK)
}

// peeked reads the first entry, so that an error of it is an answer of its own.
// The caller calls stop when done, whatever the error.
func peeked(entries iter.Seq2[audit.Entry, error]) (all iter.Seq2[audit.Entry, error], stop func(), err error) {
	next, stop := iter.Pull2(entries)
	first, err, ok := next()
	if err != nil || !ok {
		return func(func(audit.Entry, error) bool) {}, stop, err
	}
	return func(yield func(audit.Entry, error) bool) {
		for e, err := first, error(nil); ok; e, err, ok = next() {
			if !yield(e, err) {
				return
			}
		}
	}, stop, nil
}

// An auditReport is what a walk along the log found.
type auditReport struct {
	OK       bool   `json:"ok"`                // nothing is wrong in what was checked
	Complete bool   `json:"complete"`          // everything was checked
	Checked  int64  `json:"checked"`           // entries that are as they were written
	Last     int64  `json:"last"`              // sequence number of the last of them
	Bad      int64  `json:"bad,omitempty"`     // of the first entry that is not
	Problem  string `json:"problem,omitempty"` // in words
}

// auditBroken reports whether a walk along the log failed by what it found, and not
// for want of an answer.
func auditBroken(found audit.Report, err error) bool {
	return err != nil && (found.Bad != 0 ||
		errors.Is(err, audit.ErrChanged) || errors.Is(err, audit.ErrUnknownSecret) || errors.Is(err, audit.ErrMissing))
}

// verifyAudit walks along the whole log, for administrators, one at a time and not
// longer than verifyFor. A log that takes longer is for the command line.
func (s *Server) verifyAudit(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	if err := newQuery(r).end(); err != nil {
		return err
	}
	if !s.verifying.TryLock() {
		return errVerifyBusy.RetryAfter(verifyFor)
	}
	defer s.verifying.Unlock()
	ctx, cancel := context.WithTimeout(ex.ctx, verifyFor)
	defer cancel()
	found, err := s.store.VerifyAudit(ctx)
	report := auditReport{OK: err == nil, Complete: err == nil, Checked: found.Checked, Last: found.Last, Bad: found.Bad}
	switch {
	case err == nil:
	case auditBroken(found, err):
		report.Problem = err.Error()
		s.log.Error("the audit log is not what was written", "request_id", ex.ID, "entry", found.Bad, "error", err)
	case ctx.Err() != nil && ex.ctx.Err() == nil:
		report.OK = true
		report.Problem = "The log is long: not all of it was checked in " + strings.TrimSuffix(verifyFor.String(), "s") + " seconds. Run wavegate --verify-audit."
	default:
		return storeError(err)
	}
	return writeJSON(ex, http.StatusOK, report)
}
