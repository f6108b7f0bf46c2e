package manage

import (
	"cmp"
	"net/url"
	"slices"

	"wavegate/server/portal"
)

// A dimension is what usage can be told apart by, as the page says it.
type dimension struct {
	by    string // in the API's words, also of the filter
	title string
	head  string
	label string // of the filter
	every string // the choice of all
	none  string // the name of what has none; "" says it as it is
}

// dimensions are those of the page.
func (v *Visit) dimensions() []dimension {
	list := []dimension{
		{"key", "By key", "Key", "Key", "All keys", "Without a key"},
		{"client", "By app", "App", "App", "All apps", "Without an app"},
		{"route", "By route", "Route", "Route", "All routes", ""},
	}
	if v.All() {
		list = append(list, dimension{"owner", "By owner", "Owner", "Owner", "All owners", "Nobody that is known"})
	}
	return list
}

// shares fills in the tables of the page, and the filters that follow from them.
func (v *Visit) shares(view *portal.UsagePage, q usageQuery) error {
	names, err := v.names()
	if err != nil {
		return err
	}
	for _, dim := range v.dimensions() {
		parts, err := v.usageBy(q, dim.by)
		if err != nil {
			return err
		}
		rows := v.shareRows(dim, parts, names)
		if filter := dim.filter(rows, q.Get(dim.by), names); len(filter.Options) > 1 {
			view.Filters = append(view.Filters, filter)
		}
		if q.Has(dim.by) || len(rows) == 0 || len(rows) == 1 && rows[0].URL == "" {
			continue // it would say one thing that is known
		}
		table := portal.Shares{ID: dim.by, Title: dim.title, Head: dim.head, Rows: rows}
		if len(rows) > maxShares {
			table.Rows, table.Left = rows[:maxShares], portal.Thousands(int64(len(rows)-maxShares))+" more made fewer requests. The CSV file has all of them."
		}
		view.Shares = append(view.Shares, table)
	}
	for _, name := range []string{"all", "range"} {
		if value := v.Query(name); value != "" {
			view.Kept = append(view.Kept, portal.Kept{Name: name, Value: value})
		}
	}
	if q.narrowed() {
		view.Clear = v.URL("usage", "all", v.Query("all"), "range", v.Query("range"))
	}
	return nil
}

// shareRows are the rows of a table, the busiest first.
func (v *Visit) shareRows(dim dimension, parts map[string]portal.Usage, names map[string]string) []portal.Share {
	var all int64
	for _, u := range parts {
		all += u.Total.Requests
	}
	rows := make([]portal.Share, 0, len(parts))
	for id, u := range parts {
		row := portal.Share{
			Name: dim.name(id, names), Requests: u.Total.Requests, Refused: u.Total.Refused, Errors: u.Total.Errors, Of: all, ID: id,
		}
		if id != "" {
			row.URL = v.usageURL(dim.by, id)
		}
		if row.Name != id && id != "" {
			row.Sub = id
		}
		if u.Times != nil {
			row.Spark = u.Spark()
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b portal.Share) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return rows
}

// name is what to call one of a dimension.
func (dim dimension) name(id string, names map[string]string) string {
	switch {
	case id == "":
		return dim.none
	case dim.by == "route" && routeWords[id] != "":
		return routeWords[id]
	case id == "(other)":
		return "Others, counted together"
	}
	return cmp.Or(names[id], id)
}

// routeWords are the routes that are none of the policy.
var routeWords = map[string]string{"api": "Management API", "own": "Sign-in, OAuth and health", "none": "No route"}

// filter makes the field that chooses one.
func (dim dimension) filter(rows []portal.Share, chosen string, names map[string]string) portal.Filter {
	f := portal.Filter{Name: dim.by, Label: dim.label, Options: []portal.Option{{Name: dim.every, Chosen: chosen == ""}}}
	seen := chosen == ""
	for _, row := range rows[:min(len(rows), 200)] {
		if row.ID == "" {
			continue
		}
		f.Options = append(f.Options, portal.Option{Value: row.ID, Name: row.Name, Chosen: row.ID == chosen})
		seen = seen || row.ID == chosen
	}
	if !seen {
		f.Options = append(f.Options, portal.Option{Value: chosen, Name: dim.name(chosen, names), Chosen: true})
	}
	return f
}

// names are what keys and apps are called, by their IDs: of the newest, and as far as
// whoever looks may see them.
func (v *Visit) names() (map[string]string, error) {
	q := url.Values{"limit": {"200"}}
	if v.All() {
		q.Set("all", "true")
	}
	names := map[string]string{}
	var keys struct {
		List []portal.Key `json:"api_keys"`
	}
	if err := allowed(v.Get(keysCall, q, &keys)); err != nil {
		return nil, err
	}
	for _, key := range keys.List {
		names[key.ID] = key.Name
	}
	apps, err := v.appList(q)
	for _, app := range apps.List {
		names[app.ID] = app.Name
	}
	return names, err
}

// An appList is what is read here of a list of apps.
type appList struct {
	List []struct {
		ID     string `json:"client_id"`
		Name   string `json:"name"`
		Status string `json:"status"`
	} `json:"clients"`
	Next string `json:"next_cursor"`
}

// appList lists apps, none for somebody who may not see any.
func (v *Visit) appList(q url.Values) (list appList, err error) {
	err = allowed(v.Get("/v1/auth/clients", q, &list))
	return list, err
}
