package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"wavegate/server/audit"
)

// errNoChain is about a Store that was opened without Config.Chain.
var errNoChain = errors.New("the audit log cannot be written: the store was opened without a Chain")

// auditColumns are in the order of auditValues and scanAudit.
const auditColumns = "seq, at, actor, method, ip, request_id, action, target, owner, outcome, details, count, hash, hash_by"

func auditValues(e audit.Entry, details string) []any {
	return []any{
		e.Seq, millis(e.At), e.Actor, e.Method, e.IP, e.RequestID, e.Action, e.Target, e.Owner, e.Outcome,
		details, e.Count, e.Hash, e.HashBy,
	}
}

func scanAudit(row scanner) (audit.Entry, error) {
	var e audit.Entry
	var at int64
	var details string
	err := row.Scan(&e.Seq, &at, &e.Actor, &e.Method, &e.IP, &e.RequestID, &e.Action, &e.Target, &e.Owner, &e.Outcome,
		&details, &e.Count, &e.Hash, &e.HashBy)
	if err != nil {
		return audit.Entry{}, err
	}
	e.At = timeOf(at)
	if details != "{}" {
		if err := json.Unmarshal([]byte(details), &e.Details); err != nil {
			return audit.Entry{}, fmt.Errorf("decode the details of audit entry %d: %w", e.Seq, err)
		}
	}
	return e, nil
}

// record adds entries to the audit log. They get their numbers and hashes under
// the lock of the state, so that the chain has no gap and no fork, whichever
// process writes.
func (c conn) record(ctx context.Context, entries []audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if c.chain == nil {
		return errNoChain
	}
	st, err := c.auditState(ctx, c.forUpdate)
	if err != nil {
		return err
	}
	rows := make([][]any, len(entries))
	was := st
	for i, e := range entries {
		e = e.Clean()
		st.LastSeq++
		e.Seq = st.LastSeq
		c.chain.Seal(st.LastHash, &e)
		st.LastHash = e.Hash
		if rows[i], err = encodeAudit(e); err != nil {
			return err
		}
	}
	err = insert(ctx, c, "audit_log ("+auditColumns+")", "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "", rows, func(row []any) []any { return row })
	if err != nil {
		return err
	}
	return c.setAuditState(ctx, was, st)
}

func encodeAudit(e audit.Entry) ([]any, error) {
	details := []byte("{}")
	if len(e.Details) > 0 {
		var err error
		if details, err = json.Marshal(e.Details); err != nil {
			return nil, fmt.Errorf("encode the details of an audit entry: %w", err)
		}
	}
	return auditValues(e, string(details)), nil
}

// auditState reads where the log begins and ends; lock follows the SELECT.
func (c conn) auditState(ctx context.Context, lock string) (audit.State, error) {
	var st audit.State
	err := c.row(ctx, "SELECT anchor_seq, anchor_hash, last_seq, last_hash, seal, sealed_by FROM audit_state WHERE id = 1"+lock).
		Scan(&st.AnchorSeq, &st.AnchorHash, &st.LastSeq, &st.LastHash, &st.Seal, &st.SealedBy)
	return st, err
}

// setAuditState writes a state over the one that was read under the lock. A seal
// that did not fit is left as it is: what was done to the log stays to be seen.
func (c conn) setAuditState(ctx context.Context, was, st audit.State) error {
	if c.chain.CheckState(&was) == nil {
		c.chain.SealState(&st)
	}
	_, err := c.exec(ctx, "UPDATE audit_state SET anchor_seq = ?, anchor_hash = ?, last_seq = ?, last_hash = ?, seal = ?, sealed_by = ? WHERE id = 1",
		st.AnchorSeq, orNull(st.AnchorHash), st.LastSeq, orNull(st.LastHash), orNull(st.Seal), st.SealedBy)
	return err
}

// An oldEntry is what is removed of the log.
type oldEntry struct {
	seq, at int64
	hash    []byte
}

// SweepAudit removes the entries of before a time, at most limit, and moves the
// anchor in the same transaction. An entry is not removed before all older ones
// are. Each transaction removes a batch.
func (s *Store) SweepAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	total := 0
	for total < limit {
		n, want := 0, min(page, limit-total)
		err := s.write(ctx, "sweep the audit log", func(ctx context.Context, c conn) (err error) {
			n, err = c.sweepAudit(ctx, millis(before), want)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < want {
			break
		}
		wait(ctx, breath)
	}
	return total, nil
}

func (c conn) sweepAudit(ctx context.Context, before int64, limit int) (int, error) {
	if c.chain == nil {
		return 0, errNoChain
	}
	st, err := c.auditState(ctx, c.forUpdate)
	if err != nil {
		return 0, err
	}
	all, err := list(ctx, c, func(row scanner) (e oldEntry, err error) {
		err = row.Scan(&e.seq, &e.at, &e.hash)
		return e, err
	}, "SELECT seq, at, hash FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", st.AnchorSeq, limit)
	if err != nil {
		return 0, err
	}
	n, was := 0, st
	for ; n < len(all) && all[n].at < before; n++ {
		st.AnchorSeq, st.AnchorHash = all[n].seq, all[n].hash
	}
	if n == 0 {
		return 0, nil
	}
	if err := c.setAuditState(ctx, was, st); err != nil {
		return 0, err
	}
	return c.exec(ctx, "DELETE FROM audit_log WHERE seq <= ?", st.AnchorSeq)
}
