package portal

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRolesOfTheFileAreToldFromThoseGivenHere(t *testing.T) {
	v := UserPage{
		Form:  Form{Values: map[string][]string{"roles": {"both", "given"}}},
		User:  User{Roles: []string{"both", "given", "gone"}, PolicyRoles: []string{"both", "file"}},
		Roles: []CatalogRole{{Name: "both"}, {Name: "file", Scopes: []string{"a", "*"}}, {Name: "given", Scopes: []string{"a"}}, {Name: "other"}},
	}
	locked := []RoleBox{{Name: "file", Opens: "everything", ByPolicy: true}}
	if diff := cmp.Diff(locked, v.Locked()); diff != "" {
		t.Errorf("by the policy alone (-want +got):\n%s", diff)
	}
	boxes := []RoleBox{{Name: "both", Chosen: true, ByPolicy: true}, {Name: "given", Opens: "a", Chosen: true}, {Name: "other"}}
	if diff := cmp.Diff(boxes, v.Boxes()); diff != "" {
		t.Errorf("to give and take (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"gone"}, v.Gone()); diff != "" {
		t.Errorf("gone (-want +got):\n%s", diff)
	}
}

func TestWhatARoleAllowsIsALine(t *testing.T) {
	if got, want := opens([]string{"a", "b", "c", "d", "e", "f", "g"}), "a, b, c, d, e and 2 more scopes"; got != want {
		t.Errorf("opens %q, want %q", got, want)
	}
	for _, tt := range []struct {
		permissions []string
		want        string
	}{
		{nil, ""},
		{[]string{"keys:read", "keys:write", "clients:write"}, "Manages keys, apps."},
		{[]string{"status:read"}, "Sees the server’s status."},
		{[]string{"audit:read", "lockouts:write"}, "Manages lockouts. Sees the audit log."},
	} {
		if got := manages(tt.permissions); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.permissions, got, tt.want)
		}
	}
}

func TestTheRestOfALockIsSaidInWords(t *testing.T) {
	v := LockoutsPage{Now: momentInTime}
	for left, want := range map[time.Duration]string{
		-time.Second: "any moment", 0: "any moment", 400 * time.Millisecond: "in 1 second", 59 * time.Second: "in 59 seconds",
		time.Minute: "in 1 minute", 61 * time.Second: "in 2 minutes", 15 * time.Minute: "in 15 minutes",
	} {
		if got := v.Left(Lockout{Until: momentInTime.Add(left)}); got != want {
			t.Errorf("%v: %q, want %q", left, got, want)
		}
	}
}

func TestLocksAreNamedAsPeopleDo(t *testing.T) {
	for _, tt := range []struct {
		lock       Lockout
		kind, name string
		unknown    bool
	}{
		{Lockout{Kind: "ip", Subject: "2001:db8::/64"}, "Address", "2001:db8::/64", false},
		{Lockout{Kind: "key", Subject: "user:ann"}, "User", "ann", false},
		{Lockout{Kind: "key", Subject: "wave_live_0a1b"}, "Key", "wave_live_0a1b", false},
		{Lockout{Kind: "key", Subject: "unknown ID"}, "Key", "unknown ID", true},
	} {
		if tt.lock.KindName() != tt.kind || tt.lock.Name() != tt.name || tt.lock.Unknown() != tt.unknown {
			t.Errorf("%+v: %s %s %v", tt.lock, tt.lock.KindName(), tt.lock.Name(), tt.lock.Unknown())
		}
	}
}

// Lockouts are in the navigation once: for administrators below the server, for others
// who may look at those of their keys beside them.
func TestLockoutsAreInTheNavigationOfWhoMaySeeThem(t *testing.T) {
	groups := func(p Person) (names []string) {
		for _, g := range (shellView{Frame: Frame{Person: p}}).Nav() {
			if slices.ContainsFunc(g.Items, func(i navItem) bool { return i.Path == "lockouts" }) {
				names = append(names, g.Name)
			}
		}
		return names
	}
	for want, p := range map[string]Person{"Server": {Admin: true}, "": {May: []string{"lockouts:read"}}} {
		if diff := cmp.Diff([]string{want}, groups(p)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", p, diff)
		}
	}
	if got := groups(Person{May: []string{"keys:read"}}); got != nil {
		t.Errorf("they are in %v for somebody who may not see them", got)
	}
}
