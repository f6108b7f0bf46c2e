package manage

import (
	"cmp"
	"net/url"
	"slices"

	"wavegate/server/portal"
)

const (
	newestKeys = 5
	mostThere  = "200" // keys, apps and locks that are counted; of more there is a "+"
)

// overview is the first page: what needs attention, and what there is. What somebody
// may not see is left out.
func (d *Desk) overview(v *Visit) error {
	person, err := v.whoami()
	if err != nil {
		return err
	}
	view := portal.OverviewPage{}
	for _, fill := range []func(*portal.OverviewPage) error{v.attention, v.ownNumbers} {
		if err := fill(&view); err != nil {
			return err
		}
	}
	if person.Admin {
		if view.Server, err = v.serverState(); err != nil {
			return err
		}
	}
	return v.Page(portal.Frame{Title: "Overview", Wide: true}, view)
}

// attention asks what needs it.
func (v *Visit) attention(view *portal.OverviewPage) error {
	var answer struct {
		Items []portal.Attention `json:"items"`
		More  bool               `json:"more"`
	}
	err := v.Shown("/v1/auth/attention", nil, &answer)
	for i := range answer.Items {
		if path := answer.Items[i].Path(); path != "" {
			answer.Items[i].URL = v.URL(path)
		}
	}
	view.Asked, view.Attention, view.More = err == nil, answer.Items, answer.More
	return allowed(err)
}

// ownNumbers shows one's own keys, apps and requests.
func (v *Visit) ownNumbers(view *portal.OverviewPage) error {
	q := v.dayQuery()
	keys, keyTile, err := v.ownKeys()
	if err != nil {
		return err
	}
	apps, err := v.appList(url.Values{"limit": {mostThere}})
	if err != nil {
		return err
	}
	u, err := v.usageOf(q)
	if allowed(err) != nil {
		return err
	}
	view.Tiles = append(view.Tiles, keyTile...)
	if v.person.Can("clients:read") {
		view.Tiles = append(view.Tiles, portal.Tile{Name: "Apps", Number: counted(len(apps.List), apps.Next), URL: v.URL("apps")})
	}
	view.Newest = keys[:min(len(keys), newestKeys)]
	if err == nil {
		view.Tiles = append(view.Tiles, dayTiles(u, v.URL("usage"))...)
		chart := u.Requests(v.file(usageCall, q.with("by", "time", "format", "csv")))
		chart.Title = "Your requests, last 24 hours"
		view.Chart = &chart
		if view.Steps = v.firstSteps(keys, u); view.Steps != nil {
			view.Tiles, view.Chart, view.Newest = nil, nil, nil
		}
	}
	if len(view.Newest) > 0 {
		view.Sparks, err = v.sparks("key")
		return err
	}
	return nil
}

// ownKeys lists one's keys, the newest first, and says how many of them work.
func (v *Visit) ownKeys() ([]portal.Key, []portal.Tile, error) {
	var list struct {
		Keys []portal.Key `json:"api_keys"`
		Next string       `json:"next_cursor"`
	}
	if err := v.Get(keysCall, url.Values{"limit": {mostThere}}, &list); err != nil {
		return nil, nil, allowed(err)
	}
	works := 0
	for _, key := range list.Keys {
		if key.Working() {
			works++
		}
	}
	return list.Keys, []portal.Tile{{Name: "Keys that work", Number: counted(works, list.Next), URL: v.URL("keys")}}, nil
}

// counted writes how many there are on the first page of a list, "+" where there are
// more pages.
func counted(n int, next string) string {
	text := portal.Thousands(int64(n))
	if next != "" {
		text += "+"
	}
	return text
}

// dayTiles are the requests of the last 24 hours.
func dayTiles(u portal.Usage, url string) []portal.Tile {
	spark, tiles := u.Spark(), u.Tiles()
	tiles[0].Name, tiles[0].Spark, tiles[0].URL = "Requests in 24 hours", &spark, url
	return tiles[:2]
}

// firstSteps are shown until a key was used.
func (v *Visit) firstSteps(keys []portal.Key, u portal.Usage) *portal.FirstSteps {
	used := slices.ContainsFunc(keys, func(k portal.Key) bool { return !k.LastUsedAt.IsZero() })
	if used || u.Total.Requests > 0 || !v.person.Can("keys:write") {
		return nil
	}
	catalog, err := v.catalog()
	if err != nil {
		catalog = portal.Catalog{}
	}
	steps, key := &portal.FirstSteps{}, &portal.Key{Scopes: catalog.Givable()}
	if i := slices.IndexFunc(keys, portal.Key.Working); i >= 0 {
		steps.Key, key = &keys[i], &keys[i]
	}
	if address := v.opened(key, catalog); address != "" {
		steps.Try = "curl " + quote(address) + ` -H "Authorization: Bearer $WAVEGATE_KEY"`
	}
	return steps
}

// serverState is how the server is, for administrators.
func (v *Visit) serverState() (*portal.ServerState, error) {
	var system struct {
		Parts []portal.Part `json:"parts"`
	}
	var locks struct {
		List []struct{} `json:"lockouts"`
		Next string     `json:"next_cursor"`
	}
	q, err := v.lastDay()
	err = cmp.Or(err, v.Get("/v1/auth/system", nil, &system), v.Get("/v1/auth/lockouts", url.Values{"limit": {mostThere}}, &locks))
	if err != nil {
		return nil, err
	}
	u, err := v.usageOf(q)
	if err != nil {
		return nil, err
	}
	s := &portal.ServerState{
		Parts: slices.DeleteFunc(system.Parts, func(p portal.Part) bool { return !p.NeedsALook() }),
		Tiles: dayTiles(u, v.URL("usage", "all", "true")),
		Chart: u.Requests(v.file(usageCall, q.with("by", "time", "format", "csv"))),
	}
	s.Tiles = append(s.Tiles, portal.Tile{Name: "Locked out", Number: counted(len(locks.List), locks.Next), Sub: "after wrong secrets", URL: v.URL("lockouts")})
	s.Chart.ID, s.Chart.Title = "everybody", "Everybody’s requests, last 24 hours"
	return s, nil
}
