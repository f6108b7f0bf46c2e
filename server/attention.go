package server

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"wavegate/server/policy"
	"wavegate/server/store"
)

const (
	maxAttention = 100                 // items of one answer
	endsSoon     = 14 * 24 * time.Hour // what ends by then is told of
	endsVerySoon = 2 * 24 * time.Hour  // and is serious by then
	failedLately = 24 * time.Hour      // since when deliveries that were given up count
	clientsSeen  = 500                 // whose secrets are looked at: the newest
)

// The severities.
const (
	serious = "serious" // something is refused, or soon will be
	mild    = "warning"
)

// An attentionItem is something that its owner should do something about.
type attentionItem struct {
	Kind     string  `json:"kind"`
	Severity string  `json:"severity"`
	ID       string  `json:"id"` // of the key, webhook or client
	Name     string  `json:"name"`
	Owner    string  `json:"owner"`
	Until    *string `json:"until"`   // when it ends, or is over; null where that is not known
	Message  string  `json:"message"` // what is so, and what to do

	until time.Time
}

// attention gathers what needs the attention of an owner, or of everybody's.
type attention struct {
	*Server
	ex    *exchange
	by    *apiCaller
	owner string // "" with all
	all   bool
	now   time.Time
	items []attentionItem
}

// listAttention says what needs the caller's attention: what ends, is locked, is
// nearly spent, or fails. Administrators choose somebody with ?owner=, or everybody
// with ?all=true.
func (s *Server) listAttention(ex *exchange, r *http.Request) error {
	c, err := s.pacedCaller(ex, r, policy.ReadKeys)
	if err != nil {
		return err
	}
	q := newQuery(r)
	owner, all := q.text("owner"), q.flag("all")
	if err := q.end(); err != nil {
		return err
	}
	if owner, all, err = c.whose(owner, all); err != nil {
		return err
	}
	a := &attention{Server: s, ex: ex, by: c, owner: owner, all: all, now: ex.start}
	for _, part := range []struct {
		needs  policy.Permission
		gather func() error
	}{
		{policy.ReadKeys, a.endingKeys},
		{policy.ReadKeys, a.spentKeys},
		{policy.ReadLockouts, a.lockedKeys},
		{policy.ReadWebhooks, a.failingWebhooks},
		{policy.ReadClients, a.endingSecrets},
	} {
		if !c.admin && !s.state.Load().policy.May(c.who, part.needs) {
			continue
		}
		if err := part.gather(); err != nil {
			return storeError(err)
		}
	}
	return a.answer()
}

// answer shows the most urgent items.
func (a *attention) answer() error {
	slices.SortFunc(a.items, func(x, y attentionItem) int {
		late := func(i attentionItem) int { return map[bool]int{true: 1}[i.until.IsZero()] }
		return cmp.Or(
			cmp.Compare(x.Severity, y.Severity), // "serious" is before "warning"
			late(x)-late(y), x.until.Compare(y.until), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID))
	})
	more := len(a.items) > maxAttention
	return writeJSON(a.ex, http.StatusOK, struct {
		Items []attentionItem `json:"items"`
		More  bool            `json:"more"`
	}{append([]attentionItem{}, a.items[:min(len(a.items), maxAttention)]...), more})
}

// add adds an item. A zero time is none.
func (a *attention) add(i attentionItem, until time.Time) {
	i.until, i.Until = until, orNull(rfc3339(until))
	a.items = append(a.items, i)
}

// urgency is how serious it is that something ends.
func (a *attention) urgency(end time.Time) string {
	if end.Sub(a.now) <= endsVerySoon {
		return serious
	}
	return mild
}

func (a *attention) keys() store.KeyFilter { return store.KeyFilter{Owner: a.owner, All: a.all} }

// endingKeys adds keys that end, those that were rotated too.
func (a *attention) endingKeys() error {
	list, err := a.store.EndingKeys(a.ex.ctx, a.keys(), a.now, a.now.Add(endsSoon), a.now.Add(maxGrace*time.Hour), maxAttention+1)
	for i := range list {
		rec := &list[i]
		item := attentionItem{Kind: "key_expiring", Severity: a.urgency(rec.ExpiresAt), ID: rec.ID, Name: rec.Name, Owner: rec.Owner}
		item.Message = "The key ends soon: rotate it or give it a later end, if it is still needed."
		if !rec.DeprecatedAt.IsZero() {
			item.Kind, item.Severity = "key_in_grace", mild
			item.Message = "The key was rotated and works until its grace period ends: revoke it, if nobody needs it any more."
			if rec.LastUsedAt.After(rec.DeprecatedAt) {
				item.Severity = a.urgency(rec.ExpiresAt)
				item.Message = "The key was rotated and is still used: put the new key where this one is, before the grace period ends."
			}
		}
		a.add(item, rec.ExpiresAt)
	}
	return err
}

// spentKeys adds keys that have spent most of a limit, or all of it.
func (a *attention) spentKeys() error {
	day, month := opsPeriods(a.now)
	list, err := a.store.NearLimit(a.ex.ctx, a.keys(), a.now, day, month, maxAttention+1)
	for i := range list {
		k := &list[i]
		item := attentionItem{Kind: "key_near_budget", Severity: mild, ID: k.ID, Name: k.Name, Owner: k.Owner}
		until := time.Time{}
		for _, of := range budgetsOf(k, a.now) {
			if of.most > 0 && of.spent >= of.most-of.most/5 {
				item.Message, until = of.near, of.until
			}
		}
		for _, of := range budgetsOf(k, a.now) {
			if of.most > 0 && of.spent >= of.most {
				item.Severity, item.Message, until = serious, of.gone, of.until
			}
		}
		a.add(item, until)
	}
	return err
}

// A budgetLeft is a limit of a key, and what to say when it is nearly spent and when
// it is gone.
type budgetLeft struct {
	most, spent int64
	until       time.Time // when it begins anew; zero: never
	near, gone  string
}

// budgetsOf are the limits of a key, the one that matters most last.
func budgetsOf(k *store.SpentKey, now time.Time) []budgetLeft {
	now = now.UTC()
	return []budgetLeft{
		{
			k.Budget.PerDay, k.Day, time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC),
			"The key has spent 80 % or more of its operations of the day: send less, or have its budget raised.",
			"The key has spent its operations of the day and is refused until the next: have its budget raised, if that is too long.",
		},
		{
			k.Budget.PerMonth, k.Month, time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC),
			"The key has spent 80 % or more of its operations of the month: send less, or have its budget raised.",
			"The key has spent its operations of the month and is refused until the next: have its budget raised, if that is too long.",
		},
		{
			k.OpsLimit, k.Total,
			time.Time{},
			"The key has spent 80 % or more of all operations that it has: make another key before it stops.",
			"The key has spent all operations that it has and is refused for good: make another key.",
		},
	}
}

// lockedKeys adds what is locked in this process after wrong secrets.
func (a *attention) lockedKeys() error {
	for _, lock := range a.lockouts.List(a.now) {
		whose := a.lockTold.whose(lock.Subject)
		if !lock.Known || !a.all && whose.owner != a.owner {
			continue
		}
		a.add(attentionItem{
			Kind: "key_locked", Severity: serious, ID: cmp.Or(whose.keyID, lock.Subject), Name: lock.Subject, Owner: whose.owner,
			Message: "Somebody sent wrong secrets too often, so that it is refused for a while: find out who, and replace it if it may have leaked.",
		}, lock.Until)
	}
	return nil
}

// failingWebhooks adds webhooks that events did not reach.
func (a *attention) failingWebhooks() error {
	list, err := a.store.FailingEndpoints(a.ex.ctx, a.owner, a.all, a.now.Add(-failedLately), maxAttention+1)
	for i := range list {
		e := &list[i]
		if mayUse(a.by, e) != nil {
			continue
		}
		a.add(attentionItem{
			Kind: "webhook_failing", Severity: serious, ID: e.ID, Name: cmp.Or(strings.TrimSpace(e.Description), hostOf(e.URL)), Owner: e.Owner,
			Message: "Events of the last 24 hours could not be delivered and were given up: look at the deliveries, mend the receiver, then send them again.",
		}, time.Time{})
	}
	return err
}

// endingSecrets adds clients of which a secret ends.
func (a *attention) endingSecrets() error {
	list, err := a.store.Clients(a.ex.ctx, store.ClientFilter{Owner: a.owner}, "", clientsSeen)
	for i := range list {
		c := &list[i]
		if c.Disabled() {
			continue
		}
		for j := range c.Secrets {
			end := c.Secrets[j].ExpiresAt
			if end.IsZero() || !a.now.Before(end) || end.Sub(a.now) > endsSoon {
				continue
			}
			a.add(attentionItem{
				Kind: "client_secret_ending", Severity: a.urgency(end), ID: c.ID, Name: c.Name, Owner: c.Owner,
				Message: "A secret of the client ends soon: put the newer one where it is still used, or rotate it.",
			}, end)
			break // one is enough to look at the client
		}
	}
	return err
}
