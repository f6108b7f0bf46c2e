package manage

import (
	"net/http"
	"net/url"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// lockoutPages are about who must wait after wrong credentials.
func (d *Desk) lockoutPages() pages {
	return pages{"GET /lockouts": d.lockouts, "POST /lockouts": d.liftLockout}
}

const lockoutsCall = "/v1/auth/lockouts"

func lockoutCall(id string) Call {
	return Call{Method: http.MethodDelete, Path: lockoutsCall + "/" + url.PathEscape(id)}
}

// lockouts lists who must wait.
func (d *Desk) lockouts(v *Visit) error {
	return v.showLockouts(v.NewForm("lockouts", nil))
}

func (v *Visit) showLockouts(form portal.Form) error {
	q := url.Values{}
	if cursor := v.Query("cursor"); cursor != "" {
		q.Set("cursor", cursor)
	}
	var list struct {
		Lockouts []portal.Lockout `json:"lockouts"`
		Next     string           `json:"next_cursor"`
	}
	if err := v.Shown(lockoutsCall, q, &list); err != nil {
		return err
	}
	who, err := v.whoami()
	if err != nil {
		return err
	}
	lead := "Keys of yours that have to wait, after too many wrong tries."
	if who.Admin {
		lead = "Addresses and keys that have to wait, after too many wrong tries."
	}
	calls := []string{v.Curl(*v.last), v.Curl(lockoutCall("LOCK_ID"))}
	return v.Page(portal.Frame{Title: "Lockouts", Lead: lead, Wide: true, Curl: strings.Join(calls, "\n")}, portal.LockoutsPage{
		Form: form, Lockouts: list.Lockouts, Now: v.now, Paging: v.paging(list.Next), None: portal.Empty{
			Icon: "lock", Title: "Nobody is locked out",
			Words: "10 wrong secrets for one key, or 20 wrong tries from one address, within 5 minutes: then it has to wait for 15 minutes, and appears here.",
		},
	})
}

// liftLockout ends a lock. One that ended meanwhile is what was wanted.
func (d *Desk) liftLockout(v *Visit) error {
	form := v.NewForm("lockouts", nil)
	id := v.Form.Get("id")
	if id == "" {
		form.Problem = "The form does not say which lock to lift. Use the buttons of this page."
		return v.showLockouts(form)
	}
	done, err := v.Act(&form, lockoutCall(id), nil)
	if err != nil && fault.From(err).Status != http.StatusNotFound {
		return err
	}
	if done || err != nil {
		return v.Go("lockouts", "lock-lifted")
	}
	return v.showLockouts(form)
}
