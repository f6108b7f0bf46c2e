package server

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/policy"
)

// A statusView tells a caller what they are here and what they have left.
type statusView struct {
	Status  string      `json:"status"`
	Version string      `json:"version"`
	Time    string      `json:"time"`
	Caller  callerView  `json:"caller"`
	Limits  *limitsView `json:"limits"` // null: none
}

type callerView struct {
	Method      string              `json:"auth_method"`
	Subject     string              `json:"sub"`
	Username    *string             `json:"username"` // of a person, or of an access key
	UserID      *string             `json:"user_id"`  // of a person, also behind an API key
	Owner       string              `json:"owner"`
	Admin       bool                `json:"admin"`
	Roles       []string            `json:"roles"`
	Scopes      []string            `json:"scopes"`
	Permissions []policy.Permission `json:"permissions"` // administrators have all
	Environment *string             `json:"environment"` // of an API key
	KeyID       *string             `json:"key_id"`
	KeyStatus   *string             `json:"key_status"`
	ExpiresAt   *string             `json:"expires_at"`
}

type limitsView struct {
	Requests *rateView `json:"requests"` // of the window that is nearest to its end
	opsLeftView
}

// An opsLeftView is what is left of the operations of an API key. What has no limit
// is null.
type opsLeftView struct {
	Operations *opsView `json:"operations"`         // in the life of the key
	PerDay     *opsView `json:"operations_per_day"` // of its budget
	PerMonth   *opsView `json:"operations_per_month"`
}

type rateView struct {
	Limit     int64  `json:"limit"`
	Window    int64  `json:"window_seconds"`
	Remaining int64  `json:"remaining"`
	ResetAt   string `json:"reset_at"`
}

type opsView struct {
	Limit     int64 `json:"limit"`
	Remaining int64 `json:"remaining"`
}

// status tells a caller what they are here and what they have left.
func (s *Server) status(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadStatus)
	if err != nil {
		return err
	}
	limits, err := s.limitsLeft(ex, a.key)
	if err != nil {
		return keyError(err)
	}
	who := a.who
	view := statusView{
		Status: "ok", Version: s.cfg.Version, Time: rfc3339(ex.start), Limits: limits,
		Caller: callerView{
			Method: string(who.Method), Subject: who.Subject, Owner: who.Owner, Admin: a.admin,
			Roles: append([]string{}, who.Roles...), Scopes: append([]string{}, who.Scopes...),
			Permissions: s.permissionsOf(a.apiCaller), UserID: orNull(a.userID), Environment: orNull(who.Environment), KeyID: orNull(who.KeyID),
		},
	}
	if a.key == nil {
		view.Caller.Username = orNull(who.Username)
	} else {
		view.Caller.KeyStatus = orNull(string(a.key.Status(ex.start)))
		view.Caller.ExpiresAt = orNull(rfc3339(a.key.ExpiresAt))
	}
	return writeJSON(ex, http.StatusOK, view)
}

// permissionsOf is all that a caller may do with this API.
func (s *Server) permissionsOf(c *apiCaller) []policy.Permission {
	if c.admin {
		return policy.Permissions()
	}
	return s.state.Load().policy.PermissionsOf(c.who)
}

// limitsLeft is what is left of the caller's rate, and of an API key's
// operations.
func (s *Server) limitsLeft(ex *exchange, key *apikey.Record) (*limitsView, error) {
	v := &limitsView{}
	if d := &ex.verdict; d.Limit > 0 {
		v.Requests = &rateView{d.Limit, int64(d.Window / time.Second), d.Remaining, rfc3339(d.Reset)}
	}
	if key != nil {
		left, err := s.keyOpsLeft(ex.ctx, key, ex.start)
		if err != nil {
			return nil, err
		}
		v.opsLeftView = *cmp.Or(left, &opsLeftView{})
	}
	if *v == (limitsView{}) {
		return nil, nil //nolint:nilnil // no limits
	}
	return v, nil
}

// keyOpsLeft is what is left of a key's operations at a time, nil where nothing
// bounds them.
func (s *Server) keyOpsLeft(ctx context.Context, key *apikey.Record, now time.Time) (*opsLeftView, error) {
	v := &opsLeftView{}
	day, month := opsPeriods(now)
	for _, of := range []struct {
		view  **opsView
		limit int64
		until string
	}{
		{&v.Operations, key.OpsLimit, "ops"},
		{&v.PerDay, key.Budget.PerDay, day},
		{&v.PerMonth, key.Budget.PerMonth, month},
	} {
		var err error
		if *of.view, err = s.opsLeft(ctx, key, of.limit, of.until); err != nil {
			return nil, err
		}
	}
	if *v == (opsLeftView{}) {
		return nil, nil //nolint:nilnil // no limits
	}
	return v, nil
}

// opsPeriods names the day and the month of a time as the ledger does.
func opsPeriods(now time.Time) (day, month string) {
	now = now.UTC()
	return "ops " + now.Format(time.DateOnly), "ops " + now.Format("2006-01")
}

// opsLeft is what is left of a limit of operations in a period, nil for none.
func (s *Server) opsLeft(ctx context.Context, key *apikey.Record, most int64, period string) (*opsView, error) {
	if most == 0 {
		return nil, nil //nolint:nilnil // no limit
	}
	spent, err := s.store.Spent(ctx, "key:"+key.Account, period)
	if err != nil {
		return nil, err
	}
	return &opsView{most, max(0, most-spent)}, nil
}
