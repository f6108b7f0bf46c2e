package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"wavegate/server/session"
)

// settled is after what time a change that was begun is committed or never will
// be: callTime ends a transaction of a process that runs, and fence those of one
// that does not.
const settled = 30 * time.Second

// page is how many changes are read at once.
const page = 1000

// changed tells every process, when the transaction of c is committed.
func (c conn) changed(ctx context.Context, changes ...session.Change) error {
	if len(changes) == 0 {
		return nil
	}
	err := insert(ctx, c, "changes (kind, key, at)", "(?, ?, "+c.clock+")", "", changes,
		func(ch session.Change) []any { return []any{ch.Kind, ch.Key} })
	if err != nil || c.notify == "" {
		return err
	}
	_, err = c.ExecContext(ctx, c.notify)
	return err
}

// An entry is a row of the change table.
type entry struct {
	id int64
	session.Change
}

// entries reads the changes after an ID, a page at most, and the time by the
// database's clock.
func (s *Store) entries(ctx context.Context, after int64) (all []entry, now time.Time, err error) {
	err = s.read(ctx, "follow changes", func(ctx context.Context, c conn) error {
		rows, err := list(ctx, c, func(row scanner) (entry, error) {
			var ms int64
			var id sql.NullInt64
			var kind, key sql.NullString
			err := row.Scan(&ms, &id, &kind, &key)
			now = timeOf(ms)
			return entry{id.Int64, session.Change{Kind: kind.String, Key: key.String}}, err
		}, `SELECT n.at, c.id, c.kind, c.key FROM (SELECT `+c.clock+` AS at) n
			LEFT JOIN (SELECT id, kind, key FROM changes WHERE id > ? ORDER BY id LIMIT ?) c ON TRUE ORDER BY c.id`, after, page)
		all = slices.DeleteFunc(rows, func(e entry) bool { return e.id == 0 }) // the time alone
		return err
	})
	return all, now, err
}

// entryBefore returns the ID of the last change that was begun longer ago than
// back, 0 for none.
func (s *Store) entryBefore(ctx context.Context, back time.Duration) (id int64, now time.Time, err error) {
	err = s.read(ctx, "follow changes", func(ctx context.Context, c conn) error {
		var ms int64
		err := c.row(ctx, "SELECT "+c.clock+", COALESCE((SELECT id FROM changes WHERE at <= "+c.clock+" - ? ORDER BY at DESC, id DESC LIMIT 1), 0)",
			back.Milliseconds()).Scan(&ms, &id)
		now = timeOf(ms)
		return err
	})
	return id, now, err
}

// A window knows which changes were applied. IDs are given in order, but become
// visible in the order of commits: an ID that was passed over may still come,
// until it is settled. It is arithmetic alone; the time is passed in.
type window struct {
	low   int64              // everything up to here was applied, or never will come
	seen  map[int64]struct{} // applied, over low
	top   int64              // the highest that was applied
	marks []mark             // oldest first
}

// A mark says that at a time an ID was there, so that those below had been given
// to transactions that had begun.
type mark struct {
	top int64
	at  time.Time
}

func newWindow(low int64) *window {
	return &window{low: low, top: low, seen: map[int64]struct{}{}}
}

// fresh keeps of some entries those that were not applied.
func (w *window) fresh(all []entry) []session.Change {
	var changes []session.Change
	for _, e := range all {
		if _, applied := w.seen[e.id]; applied || e.id <= w.low {
			continue
		}
		w.seen[e.id] = struct{}{}
		w.top = max(w.top, e.id)
		changes = append(changes, e.Change)
	}
	return changes
}

// settle moves low up at a time at which everything visible was applied.
func (w *window) settle(now time.Time) {
	if n := len(w.marks); w.top > w.low && (n == 0 || w.marks[n-1].top < w.top) {
		w.marks = append(w.marks, mark{w.top, now})
	}
	for len(w.marks) > 0 && now.Sub(w.marks[0].at) >= settled {
		w.pass(w.marks[0].top)
		w.marks = w.marks[1:]
	}
	for next := w.low + 1; len(w.seen) > 0; next++ {
		if _, applied := w.seen[next]; !applied {
			break
		}
		w.pass(next)
	}
	w.marks = slices.DeleteFunc(w.marks, func(m mark) bool { return m.top <= w.low })
}

// pass moves low up to an ID.
func (w *window) pass(id int64) {
	if id-w.low == 1 {
		delete(w.seen, id)
	} else {
		for k := range w.seen {
			if k <= id {
				delete(w.seen, k)
			}
		}
	}
	w.low = max(w.low, id)
}
