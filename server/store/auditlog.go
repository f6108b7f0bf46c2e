package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"wavegate/server/audit"
	"wavegate/server/session"
)

// An AuditFilter chooses entries. Empty fields choose nothing out.
type AuditFilter struct {
	Mine     string // entries whose Owner or Actor it is; "" is everybody's
	Actor    string
	Action   string // "key.create", or "key." for all that begin so
	Target   string
	Outcome  string
	IP       string
	From, To time.Time // From is in, To is not
}

// choice makes the WHERE clause of a filter, and reports whether it can choose
// anything at all.
func (f AuditFilter) choice() (terms []string, args []any, ok bool) {
	add := func(sql string, values ...any) {
		terms = append(terms, sql)
		args = append(args, values...)
	}
	if f.Mine != "" {
		add("(owner = ? OR actor = ?)", f.Mine, f.Mine)
	}
	for _, term := range []struct{ sql, value string }{
		{"actor = ?", f.Actor}, {"target = ?", f.Target}, {"outcome = ?", f.Outcome}, {"ip = ?", f.IP},
	} {
		if term.value != "" {
			add(term.sql, term.value)
		}
	}
	if begin, group := strings.CutSuffix(f.Action, "."); group {
		add("action >= ? AND action < ?", f.Action, begin+"/") // the byte after the dot
	} else if f.Action != "" {
		add("action = ?", f.Action)
	}
	if !f.From.IsZero() {
		add("at >= ?", ceilMillis(f.From))
	}
	if !f.To.IsZero() {
		add("at < ?", ceilMillis(f.To))
	}
	return terms, args, storable(f.Mine, f.Actor, f.Action, f.Target, f.Outcome, f.IP)
}

// ceilMillis is the first whole millisecond that is not before a time.
func ceilMillis(t time.Time) int64 {
	return t.Add(time.Millisecond - time.Nanosecond).UnixMilli()
}

// Audit lists entries, the newest first, from before the one with the sequence
// number before (0: from the newest).
func (s *Store) Audit(ctx context.Context, f AuditFilter, before int64, limit int) ([]audit.Entry, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return s.auditPage(ctx, f, "seq < ?", before, "DESC", limit)
}

// auditPage reads a page from one side of a sequence number.
func (s *Store) auditPage(ctx context.Context, f AuditFilter, side string, seq int64, order string, limit int) ([]audit.Entry, error) {
	terms, args, ok := f.choice()
	if !ok || limit <= 0 {
		return nil, nil
	}
	query := "SELECT " + auditColumns + " FROM audit_log WHERE " + strings.Join(append(terms, side), " AND ") + " ORDER BY seq " + order + " LIMIT ?"
	var all []audit.Entry
	err := s.read(ctx, "read the audit log", func(ctx context.Context, c conn) (err error) {
		all, err = list(ctx, c, scanAudit, query, slices.Concat(args, []any{seq, limit})...)
		return err
	})
	return all, err
}

// AuditAll yields all entries after a sequence number, the oldest first, in pages
// of its own: nothing is held open between them. An error is the last that it
// yields.
func (s *Store) AuditAll(ctx context.Context, f AuditFilter, after int64) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for after := after; ; {
			all, err := s.auditPage(ctx, f, "seq > ?", after, "ASC", page)
			if err != nil {
				yield(audit.Entry{}, err)
				return
			}
			for _, e := range all {
				if !yield(e, nil) {
					return
				}
				after = e.Seq
			}
			if len(all) < page {
				return
			}
		}
	}
}

// An Anchor is where the log begins after its oldest entries were removed: the
// hash of the last of those, sealed like an entry. The zero value is the
// beginning.
type Anchor struct {
	Seq  int64
	Hash []byte
}

// AuditAnchor returns where the log begins, and the sequence number of its last
// entry. Errors: audit.ErrChanged and audit.ErrUnknownSecret (wrapped) where
// somebody else moved one of them; both are returned nevertheless.
func (s *Store) AuditAnchor(ctx context.Context) (a Anchor, last int64, err error) {
	st, err := s.auditEnds(ctx)
	return Anchor{st.AnchorSeq, st.AnchorHash}, st.LastSeq, err
}

// auditEnds reads where the log begins and ends, and checks the seal.
func (s *Store) auditEnds(ctx context.Context) (st audit.State, err error) {
	err = s.read(ctx, "read the audit log", func(ctx context.Context, c conn) (err error) {
		st, err = c.auditState(ctx, "")
		return err
	})
	if err != nil || s.chain == nil {
		return st, err
	}
	if err := s.chain.CheckState(&st); err != nil {
		return st, fmt.Errorf("the note of where the audit log begins and ends: %w", err)
	}
	return st, nil
}

// VerifyAudit walks along the whole log, which may be written meanwhile. Besides
// audit.Verify's errors, audit.ErrMissing and audit.ErrChanged say that the log
// ends elsewhere than where the last entry was written.
func (s *Store) VerifyAudit(ctx context.Context) (audit.Report, error) {
	if s.chain == nil {
		return audit.Report{}, errNoChain
	}
	for {
		st, sealed := s.auditEnds(ctx)
		if errors.Is(sealed, session.ErrUnavailable) {
			return audit.Report{}, sealed
		}
		r, err := s.verifyFrom(ctx, st)
		if err == nil {
			return r, sealed
		}
		// A sweep may have taken entries away before they were read.
		if now, moved := s.auditEnds(ctx); sealed != nil || moved != nil || now.AnchorSeq == st.AnchorSeq {
			return r, err
		}
	}
}

// verifyFrom verifies the log between the ends that a state names.
func (s *Store) verifyFrom(ctx context.Context, st audit.State) (audit.Report, error) {
	last := st.AnchorHash
	r, err := audit.Verify(s.chain, st.AnchorSeq, st.AnchorHash, func(yield func(audit.Entry, error) bool) {
		for e, err := range s.AuditAll(ctx, AuditFilter{}, st.AnchorSeq) {
			if e.Seq == st.LastSeq {
				last = e.Hash
			}
			if !yield(e, err) {
				return
			}
		}
	})
	switch {
	case err != nil:
		return r, err
	case r.Last < st.LastSeq:
		r.Bad = r.Last + 1
		return r, fmt.Errorf("entry %d of the audit log, and what came after it: %w", r.Bad, audit.ErrMissing)
	case !bytes.Equal(last, st.LastHash):
		r.Bad = st.LastSeq
		return r, fmt.Errorf("entry %d of the audit log: %w", r.Bad, audit.ErrChanged)
	}
	return r, nil
}
