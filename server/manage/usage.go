package manage

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// usagePages show what was done.
func (d *Desk) usagePages() pages { return pages{"GET /usage": d.usage} }

const (
	usageCall = "/v1/auth/usage"

	maxShares = 10      // rows of one table of shares
	maxSparks = "5000"  // rows of an answer that sparks are made of
	maxTotals = "10000" // rows of an answer without them
)

// usageFilters are the parameters of the page that narrow it down, all of the API's.
var usageFilters = []string{"key", "client", "route", "owner"}

// usage shows the usage of a range.
func (d *Desk) usage(v *Visit) error {
	q := v.usageQuery(portal.UsageRangeOf(v.Query("range")))
	var answer portal.UsageAnswer
	err := v.Shown(usageCall, q.with("by", "time"), &answer)
	if err != nil {
		return err
	}
	u := portal.UsageOf(answer, q.span, v.now)
	view := portal.UsagePage{Range: q.span, Ranges: v.ranges(q.span), Tiles: u.Tiles()}
	csv := v.file(usageCall, q.with("by", "time", "format", "csv"))
	view.Charts = []portal.Chart{u.Requests(csv), u.Refusals(csv), u.Latency(csv)}
	if u.Total.Requests == 0 && !q.narrowed() {
		view.None, err = v.noUsage(q.span)
	} else {
		err = v.shares(&view, q)
	}
	if err != nil {
		return err
	}
	title := "Usage"
	if v.All() {
		title = "All usage"
	}
	return v.Page(portal.Frame{Title: title, Wide: true}, view)
}

// A usageQuery is what of usage is asked for.
type usageQuery struct {
	url.Values
	span portal.UsageRange
}

// usageQuery asks for a range, narrowed down as the page's address says.
func (v *Visit) usageQuery(r portal.UsageRange) usageQuery {
	q := usageQuery{usageSince(r, v.now), r}
	for _, name := range usageFilters {
		if value := v.Query(name); value != "" {
			q.Set(name, value)
		}
	}
	if v.All() {
		q.Set("all", "true")
	}
	return q
}

// usageSince are the parameters of a range.
func usageSince(r portal.UsageRange, now time.Time) url.Values {
	return url.Values{"span": {r.Span}, "from": {r.Times(now)[0].Format(time.RFC3339)}}
}

// with returns the parameters with others, in pairs.
func (q usageQuery) with(pairs ...string) url.Values {
	out := url.Values{}
	maps.Copy(out, q.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

// narrowed reports whether anything is left out by choice.
func (q usageQuery) narrowed() bool {
	return slices.ContainsFunc(usageFilters, q.Has)
}

// usageURL is the page's address with one parameter changed; "" takes it off.
func (v *Visit) usageURL(name, value string) string {
	var pairs []string
	for _, parameter := range append([]string{"all", "range"}, usageFilters...) {
		said := v.Query(parameter)
		if parameter == name {
			said = value
		}
		pairs = append(pairs, parameter, said)
	}
	return v.URL("usage", pairs...)
}

func (v *Visit) ranges(here portal.UsageRange) []portal.Choice {
	var list []portal.Choice
	for _, r := range portal.UsageRanges() {
		list = append(list, portal.Choice{Name: r.Name, URL: v.usageURL("range", r.Word), Here: r.Word == here.Word})
	}
	return list
}

// file is the address of a call that answers with a file.
func (v *Visit) file(path string, q url.Values) string {
	return strings.TrimSuffix(v.desk.cfg.Base, "_portal/") + strings.TrimPrefix(Call{Path: path, Query: q}.Target(), "/")
}

// noUsage stands where nothing was done.
func (v *Visit) noUsage(r portal.UsageRange) (*portal.Empty, error) {
	person, err := v.whoami()
	if err != nil {
		return nil, err
	}
	e := &portal.Empty{
		Icon: "chart", Title: "No requests in " + r.Last,
		Words: "Requests with your keys and apps appear here within seconds after they were made. Send one, or choose a longer range.",
	}
	if v.All() {
		e.Words = "Requests appear here within seconds after they were made. Choose a longer range to see older ones."
	} else if person.Can("keys:write") {
		e.Link = &portal.Button{Name: "New key", URL: v.URL("keys/new")}
	}
	return e, nil
}

// chartOf is the chart of the last 24 hours of a key or an app (by is "key" or
// "client"), as far as whoever looks may see it. Without the permission it is the zero
// Chart.
func (v *Visit) chartOf(by, id string) (portal.Chart, error) {
	q, err := v.lastDay()
	if err != nil {
		return portal.Chart{}, err
	}
	q.Set(by, id)
	u, err := v.usageOf(q)
	if err != nil {
		return portal.Chart{}, allowed(err)
	}
	return u.Requests(v.file(usageCall, q.with("by", "time", "format", "csv"))), nil
}

// dayQuery asks for one's own last 24 hours.
func (v *Visit) dayQuery() usageQuery {
	r := portal.UsageRangeOf("24h")
	return usageQuery{usageSince(r, v.now), r}
}

// lastDay asks for the last 24 hours: of everybody where an administrator looks.
func (v *Visit) lastDay() (usageQuery, error) {
	q := v.dayQuery()
	person, err := v.whoami()
	if err == nil && person.Admin {
		q.Set("all", "true")
	}
	return q, err
}

// usageOf asks for usage over time.
func (v *Visit) usageOf(q usageQuery) (portal.Usage, error) {
	var answer portal.UsageAnswer
	err := v.Get(usageCall, q.with("by", "time"), &answer)
	return portal.UsageOf(answer, q.span, v.now), err
}

// sparks are the requests of the last 24 hours by key or app (by is "key" or
// "client"), by their IDs: one's own, or everybody's where the page shows them. They
// are nil without the permission, and where there are too many.
func (v *Visit) sparks(by string) (map[string]portal.Spark, error) {
	q := v.dayQuery()
	if v.All() {
		q.Set("all", "true")
	}
	if owner := v.Query("owner"); owner != "" {
		q.Set("owner", owner)
	}
	parts, err := v.usageBy(q, by)
	if err != nil {
		return nil, allowed(err)
	}
	sparks := make(map[string]portal.Spark, len(parts))
	for id, u := range parts {
		if u.Times != nil {
			sparks[id] = u.Spark()
		}
	}
	return sparks, nil
}

// allowed is nil where somebody lacks a permission: that part is left out then.
func allowed(err error) error {
	if err != nil && fault.From(err).Status == http.StatusForbidden {
		return nil
	}
	return err
}

// usageBy asks for usage told apart by a dimension. Where that makes too many rows,
// only the totals are there, and Times is nil.
func (v *Visit) usageBy(q usageQuery, by string) (map[string]portal.Usage, error) {
	var answer portal.UsageAnswer
	if err := v.Get(usageCall, q.with("by", "time,"+by, "limit", maxSparks), &answer); err != nil {
		return nil, err
	}
	if answer.More {
		return v.totalsBy(q, by)
	}
	rows := map[string][]portal.UsageRow{}
	for _, row := range answer.Rows {
		rows[row.Dim(by)] = append(rows[row.Dim(by)], row)
	}
	parts := make(map[string]portal.Usage, len(rows))
	for id := range rows {
		parts[id] = portal.UsageOf(portal.UsageAnswer{Rows: rows[id]}, q.span, v.now)
	}
	return parts, nil
}

func (v *Visit) totalsBy(q usageQuery, by string) (map[string]portal.Usage, error) {
	var answer portal.UsageAnswer
	if err := v.Get(usageCall, q.with("by", by, "limit", maxTotals), &answer); err != nil {
		return nil, err
	}
	parts := make(map[string]portal.Usage, len(answer.Rows))
	for _, row := range answer.Rows {
		parts[row.Dim(by)] = portal.Usage{Range: q.span, Total: row}
	}
	return parts, nil
}
