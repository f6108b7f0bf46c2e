package manage

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// auditPages are about who did what.
func (d *Desk) auditPages() pages {
	return pages{
		"GET /audit":         d.audit,
		"GET /audit/verify":  d.verifyAudit,
		"POST /audit/verify": d.verifyAudit,
	}
}

const auditCall = "/v1/auth/audit"

// audit lists entries of the audit log.
func (d *Desk) audit(v *Visit) error {
	asked := v.r.URL.Query()
	filter, values := url.Values{}, map[string][]string{}
	for _, name := range portal.AuditFilters {
		if value := strings.TrimSpace(asked.Get(name)); value != "" {
			filter.Set(name, value)
			values[name] = []string{value}
		}
	}
	if filter.Has("to") {
		filter.Set("to", dayAfter(filter.Get("to")))
	}
	view := portal.AuditPage{Form: portal.Form{Action: v.URL("audit"), Values: values}, Check: v.NewForm("audit/verify", nil), Export: filter}
	q := url.Values{"limit": {"30"}} // each with its details: more would make a heavy page
	for name := range filter {
		q.Set(name, filter.Get(name))
	}
	if cursor := asked.Get("cursor"); cursor != "" {
		q.Set("cursor", cursor)
	}
	var list struct {
		Entries []portal.AuditEntry `json:"entries"`
		Next    string              `json:"next_cursor"`
	}
	if err := v.Shown(auditCall, q, &list); err != nil {
		e := fault.From(err)
		if len(e.Fields) == 0 {
			return err
		}
		complain(&view.Form, e.Fields)
	}
	person, err := v.whoami()
	if err != nil {
		return err
	}
	view.Entries, view.Paging, view.None = list.Entries, v.paging(list.Next), noEntries(len(filter) > 0)
	frame := portal.Frame{Title: "Audit log", Wide: true, Lead: "Who changed what, and who was refused. The newest first."}
	if !person.Admin {
		frame.Lead = "What you did, and what was done to your things. The newest first."
	}
	return v.Page(frame, view)
}

// dayAfter is the day after a date, so that the date itself is in: to the API the end of
// a range is not. Whatever is no date is left for the API to complain about.
func dayAfter(date string) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return day.AddDate(0, 0, 1).Format(time.DateOnly)
}

// noEntries stands where the list is empty.
func noEntries(narrowed bool) portal.Empty {
	if narrowed {
		return portal.Empty{Icon: "log", Title: "Nothing fits", Words: "Choose a longer time, or leave out one of the filters."}
	}
	return portal.Empty{
		Icon: "log", Title: "Nothing happened yet",
		Words: "When somebody makes or changes a key, an app or a webhook, or is refused with one, it is written down here for good.",
	}
}

// errForAdmins is the answer where a page has a form that is for administrators alone, and
// nothing of theirs to read before it is sent.
var errForAdmins = fault.New(http.StatusForbidden, "insufficient_role", "This is for administrators: whom --admins names.")

// verifyAudit has the whole log verified, and shows what was found.
func (d *Desk) verifyAudit(v *Visit) error {
	if who, err := v.whoami(); err != nil || !who.Admin {
		return cmp.Or(err, error(errForAdmins))
	}
	view := portal.AuditVerifyPage{Form: v.NewForm("audit/verify", nil)}
	var report portal.AuditReport
	done, err := v.Act(&view.Form, Call{Method: http.MethodGet, Path: auditCall + "/verify"}, &report)
	if err != nil {
		return err
	}
	if done {
		view.Report, view.Form.Once = &report, newMark()
	}
	return v.Page(portal.Frame{
		Title: "Verify the audit log", Back: []portal.Link{{Name: "Audit log", Path: "audit"}}, Curl: view.Form.Curl,
	}, view)
}
