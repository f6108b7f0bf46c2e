package portal

import "strings"

// A navGroup is a part of the navigation under one heading.
type navGroup struct {
	Name  string // "" for the first, which needs none
	Items []navItem
}

// A navItem leads to one room of the portal.
type navItem struct {
	Name, Path string
	Key        string // goes there after g on the keyboard; "" for none
	Icon       string // symbol of icons.html
	Here       bool
}

// Nav is the navigation of the person: what they may not do is not there.
func (v shellView) Nav() []navGroup {
	p := v.Person
	own := navGroup{Items: v.only([]offer{
		{navItem{Name: "Overview", Path: "", Key: "o", Icon: "home"}, true},
		{navItem{Name: "API keys", Path: "keys", Key: "k", Icon: "key"}, p.Can("keys:read")},
		{navItem{Name: "Apps", Path: "apps", Key: "a", Icon: "app"}, p.Can("clients:read")},
		{navItem{Name: "Webhooks", Path: "webhooks", Key: "w", Icon: "hook"}, p.Can("webhooks:read")},
		{navItem{Name: "Usage", Path: "usage", Key: "u", Icon: "chart"}, p.Can("usage:read")},
		{navItem{Name: "Lockouts", Path: "lockouts", Key: "l", Icon: "lock"}, !p.Admin && p.Can("lockouts:read")}, // of theirs
		{navItem{Name: "Audit log", Path: "audit", Key: "d", Icon: "log"}, !p.Admin && p.Can("audit:read")},       // theirs
	})}
	you := navGroup{"You", v.only([]offer{
		{navItem{Name: "Connected apps", Path: "connected", Key: "c", Icon: "link"}, true},
		{navItem{Name: "Sessions", Path: "sessions", Key: "s", Icon: "screen"}, true},
		{navItem{Name: "Profile", Path: "profile", Key: "p", Icon: "person"}, true},
	})}
	if !p.Admin {
		return []navGroup{own, you}
	}
	return []navGroup{own, you, {"Everybody", v.only([]offer{
		{navItem{Name: "All keys", Path: "keys?all=true", Icon: "key"}, true},
		{navItem{Name: "All apps", Path: "apps?all=true", Icon: "app"}, true},
		{navItem{Name: "All webhooks", Path: "webhooks?all=true", Icon: "hook"}, true},
		{navItem{Name: "All usage", Path: "usage?all=true", Icon: "chart"}, true},
		{navItem{Name: "Users", Path: "users", Key: "e", Icon: "people"}, true},
	})}, {"Server", v.only([]offer{
		{navItem{Name: "Access keys", Path: "access-keys", Icon: "key"}, true},
		{navItem{Name: "Lockouts", Path: "lockouts", Key: "l", Icon: "lock"}, true},
		{navItem{Name: "Audit log", Path: "audit", Key: "d", Icon: "log"}, true},
		{navItem{Name: "Signing keys", Path: "signing-keys", Icon: "sign"}, true},
		{navItem{Name: "Policy", Path: "policy", Key: "y", Icon: "rules"}, true},
		{navItem{Name: "Why?", Path: "why", Key: "?", Icon: "why"}, true},
		{navItem{Name: "Health", Path: "health", Key: "h", Icon: "pulse"}, true},
	})}}
}

// An offer is an item and whether the person may go there.
type offer struct {
	navItem
	may bool
}

// only keeps what may be, and marks where the page is.
func (v shellView) only(offers []offer) []navItem {
	var items []navItem
	for _, o := range offers {
		if o.may {
			o.Here = v.isAt(o.Path)
			items = append(items, o.navItem)
		}
	}
	return items
}

// isAt reports whether the page lies in the room of an item.
func (v shellView) isAt(item string) bool {
	path, all, _ := strings.Cut(v.Path, "?")
	room, of, _ := strings.Cut(item, "?")
	if all != of && (all == "" || !v.Person.Admin || sharedRoom(room)) {
		return false
	}
	return path == room || room != "" && strings.HasPrefix(path, room+"/")
}

// sharedRoom reports whether a room is there for one's own and for everybody's.
func sharedRoom(room string) bool {
	switch room {
	case "keys", "apps", "webhooks", "usage":
		return true
	}
	return false
}
