package server

import (
	"cmp"
	"context"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/keychain/lookup"
	"wavegate/server/audit"
	"wavegate/server/policy"
	"wavegate/server/store"
	"wavegate/server/usage"
	"wavegate/server/webhook"
)

const (
	upkeepEvery  = time.Minute
	expiringSoon = 7 * 24 * time.Hour // before its end a key's owner is told
	upkeepBatch  = 500                // rows of one sweep
)

// The stages of a key's end that its owner is told.
const (
	stageExpiring = 1
	stageExpired  = 2
)

// runUpkeep does what time brings, until ctx ends: it tells of keys that expire
// and removes what is kept no longer.
func (s *Server) runUpkeep(ctx context.Context) error {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		// What is wrong with old rows must not end the server.
		err := lookup.Safely(s.log, "the store was kept up", func() error { return s.upkeep(ctx, time.Now()) })
		if err != nil && ctx.Err() == nil {
			s.log.Warn("upkeep of the store; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) upkeep(ctx context.Context, now time.Time) error {
	if err := s.tellExpiring(ctx, now.Add(expiringSoon), stageExpiring, webhook.KeyExpiring); err != nil {
		return err
	}
	if err := s.tellExpiring(ctx, now, stageExpired, webhook.KeyExpired); err != nil {
		return err
	}
	return s.sweep(ctx, now, s.state.Load().policy.Retention())
}

// tellExpiring writes the event of a stage for each key that reached it. Each key
// is told once, by one process.
func (s *Server) tellExpiring(ctx context.Context, before time.Time, stage int, kind string) error {
	for ctx.Err() == nil {
		list, err := s.store.ExpiringKeys(ctx, before, stage, upkeepBatch)
		if err != nil {
			return err
		}
		for _, rec := range list {
			if _, err := s.store.TellExpiry(ctx, rec.ID, stage, expiryJournal(rec, kind)); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			s.wrote()
		}
		if len(list) < upkeepBatch {
			return nil
		}
	}
	return ctx.Err()
}

func expiryJournal(rec apikey.Record, kind string) store.Journal {
	j := store.Journal{Events: []webhook.Event{event(kind, rec.Owner, map[string]any{
		"key_id": rec.ID, "prefix": rec.Prefix, "name": rec.Name, "environment": rec.Environment, "expires_at": rfc3339(rec.ExpiresAt),
	})}}
	if kind == webhook.KeyExpired {
		j.Audit = []audit.Entry{{
			At: time.Now(), Actor: "system", Action: "key.expired", Target: rec.ID, Owner: rec.Owner, Outcome: "ok",
		}}
	}
	return j
}

// sweep removes what is older than the policy keeps, some of it at a time.
func (s *Server) sweep(ctx context.Context, now time.Time, keep policy.Retention) error {
	before := map[usage.Span]time.Time{
		usage.Minute: now.Add(-keep.UsageMinutes), usage.Hour: now.Add(-keep.UsageHours), usage.Day: now.Add(-keep.UsageDays),
	}
	sweeps := []func() (int, error){
		func() (int, error) { return s.store.SweepUsage(ctx, before, upkeepBatch) },
		func() (int, error) { return s.store.SweepDeliveries(ctx, now.Add(-keep.Deliveries), upkeepBatch) },
		func() (int, error) { return s.store.SweepTrials(ctx, now.Add(-trialKept), upkeepBatch) },
		func() (int, error) { return s.store.SweepOAuth(ctx, now, now.Add(-unusedClient), upkeepBatch) },
	}
	if keep.Audit > 0 {
		sweeps = append(sweeps, func() (int, error) { return s.store.SweepAudit(ctx, now.Add(-keep.Audit), upkeepBatch) })
	}
	if s.signIn == nil { // otherwise it is done with the sessions
		sweeps = append(sweeps, func() (int, error) { return s.store.Sweep(ctx, now, time.Time{}, upkeepBatch) })
	}
	var first error
	for _, sweep := range sweeps {
		for n := upkeepBatch; n >= upkeepBatch && ctx.Err() == nil; {
			var err error
			if n, err = sweep(); err != nil {
				first = cmp.Or(first, err)
				break
			}
		}
	}
	return first
}

// trialKept is how long trial keys are kept after they expired, so that whoever
// still uses one is told what became of it.
const trialKept = 24 * time.Hour

// unusedClient is how long a client that registered itself may be there without
// anybody who uses it.
const unusedClient = 30 * 24 * time.Hour
