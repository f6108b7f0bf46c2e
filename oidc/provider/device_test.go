package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// start begins a device authorization of the client.
func (d *desk) start(t *testing.T, pairs ...string) (*DeviceAnswer, error) {
	t.Helper()
	c, err := d.Provider.client(t.Context(), appID)
	if err != nil {
		t.Fatal(err)
	}
	v := url.Values{"client_id": {appID}, "scope": {"openid streams:read"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return d.StartDevice(t.Context(), c, params(t, v), "192.0.2.1")
}

// waiting returns a device authorization as a person who typed its code is asked.
func (d *desk) waiting(t *testing.T) *DeviceRequest {
	t.Helper()
	a, err := d.start(t)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.DeviceRequest(t.Context(), a.UserCode)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDeviceIsGivenACodeToShow(t *testing.T) {
	d := newDesk(t)
	got, err := d.start(t, "resource", deskIssuer+"/api")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(got.UserCode) {
		t.Errorf("the user code is %s", got.UserCode)
	}
	if !strings.HasPrefix(got.DeviceCode, "wgdc_") || len(got.DeviceCode) != 48 {
		t.Errorf("the device code has %d characters", len(got.DeviceCode))
	}
	want := &DeviceAnswer{
		DeviceCode: got.DeviceCode, UserCode: got.UserCode, ExpiresIn: 600, Interval: 5,
		VerificationURI: deskIssuer + "/oauth/device", VerificationURIComplete: deskIssuer + "/oauth/device?user_code=" + got.UserCode,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	kept := Device{
		Hash: HashOf(got.DeviceCode), UserCode: UserCode(got.UserCode), ClientID: appID, Scopes: []string{"openid", "streams:read"},
		Resources: []string{deskIssuer + "/api"}, Source: "192.0.2.1", State: DevicePending,
		CreatedAt: d.clock, ExpiresAt: d.clock.Add(10 * time.Minute), Interval: 5 * time.Second,
	}
	if diff := cmp.Diff(kept, only(t, d.store.devices)); diff != "" {
		t.Error(diff)
	}
}

func TestDeviceThatAsksForTooMuchIsRefused(t *testing.T) {
	tests := []struct {
		name, param, value string
		change             func(*desk)
		want               string
	}{
		{"unknown scope", "scope", "nobody:knows", nil, InvalidScope},
		{"scope of others", "scope", "billing:write", nil, InvalidScope},
		{"foreign resource", "resource", "https://evil.example", nil, InvalidTarget},
		{"client without the grant", "scope", "openid", func(d *desk) { d.client(func(c *Client) { c.GrantTypes = []string{GrantCode} }) }, UnauthorizedClient},
		{"nobody can sign in", "scope", "openid", func(d *desk) { d.rules.SignIn = false }, UnsupportedGrant},
		{"failing store", "scope", "openid", func(d *desk) { d.fails("AddDevice") }, Unavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			if test.change != nil {
				test.change(d)
			}
			_, err := d.start(t, test.param, test.value)
			onPage(t, refused(t, err, test.want))
			if len(d.store.devices) != 0 {
				t.Error("it was kept")
			}
		})
	}
}

func TestDevicesOfOneSourceAreBounded(t *testing.T) {
	d := newDesk(t)
	for range perSource {
		if _, err := d.start(t); err != nil {
			t.Fatal(err)
		}
	}
	_, err := d.start(t)
	if e := refused(t, err, Unavailable); e.Status != http.StatusTooManyRequests {
		t.Errorf("status %d", e.Status)
	}
}

func TestTakenUserCodeIsReplaced(t *testing.T) {
	d := newDesk(t)
	taken := 0
	d.store.fail = func(method string) error {
		if method == "AddDevice" && taken < 2 {
			taken++
			return ErrConflict
		}
		return nil
	}
	if _, err := d.start(t); err != nil || taken != 2 {
		t.Errorf("after %d taken codes: %v", taken, err)
	}
	d.store.fail = func(string) error { return ErrConflict }
	_, err := d.start(t)
	refused(t, err, Unavailable)
}

func TestUserCodeIsForgiving(t *testing.T) {
	for _, typed := range []string{
		"BCDF-GHJK", "bcdfghjk", "bcdf ghjk", " b c d f - g h j k \r\n", "BCDF\u2013GHJK", "BCDF\u00a0GHJK", "Bcdf_Ghjk", "bcdf.ghjk",
	} {
		if got := UserCode(typed); got != "BCDFGHJK" {
			t.Errorf("%q is %q", typed, got)
		}
	}
	for _, typed := range []string{
		"", "-", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF-GHJ1", "BCDF/GHJK", "BCDF-GHJ\u212a", "\u017fCDF-GHJK", "BCDF-GHJK\x00",
		"BCDFGHJK" + strings.Repeat(" ", 64), "BCDF-GHJ\xff", "BCDF-GHJK%",
	} {
		if got := UserCode(typed); got != "" {
			t.Errorf("%q is %q", typed, got)
		}
	}
}

func TestEveryUserCodeThatIsMadeIsRead(t *testing.T) {
	seen := map[byte]bool{}
	for range 500 {
		code := newUserCode()
		if UserCode(strings.ToLower(code[:4]+" - "+code[4:])) != code {
			t.Fatalf("%s is not read", code)
		}
		for i := range len(code) {
			seen[code[i]] = true
		}
	}
	if len(seen) != len(userCodeLetters) {
		t.Errorf("%d letters are used", len(seen))
	}
}

func FuzzUserCode(f *testing.F) {
	f.Add("bcdf-ghjk")
	f.Fuzz(func(t *testing.T, typed string) {
		code := UserCode(typed)
		if code != "" && (len(code) != 8 || strings.Trim(code, userCodeLetters) != "" || UserCode(code) != code) {
			t.Errorf("%q is %q", typed, code)
		}
	})
}

func TestPersonIsAskedAboutTheDeviceOfTheCode(t *testing.T) {
	d := newDesk(t)
	r := d.waiting(t)
	if r.Client.ID != appID || r.Device.Source != "192.0.2.1" || !cmp.Equal(r.Scopes, []string{"openid", "streams:read"}) || r.MaxAge >= 0 {
		t.Errorf("got %+v", r)
	}
	if got := d.Grantable(&r.Request, d.people["usr_bob"]); !cmp.Equal(got, []string{"openid"}) {
		t.Errorf("bob can give %v", got)
	}
	for _, typed := range []string{"", "BCDF", "ZZZZ-ZZZX", "' OR 1=1"} {
		if _, err := d.DeviceRequest(t.Context(), typed); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	d.clock = d.clock.Add(deviceLifetime)
	if _, err := d.DeviceRequest(t.Context(), r.Device.UserCode); !errors.Is(err, ErrNotFound) {
		t.Errorf("after its time: %v", err)
	}
}

func TestDeviceOfADisabledClientIsNotThere(t *testing.T) {
	d := newDesk(t)
	r := d.waiting(t)
	d.client(func(c *Client) { c.DisabledAt = d.clock })
	if _, err := d.DeviceRequest(t.Context(), r.Device.UserCode); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// Whoever made the code is not who types it: consent of before, also a first
// party's, lets no device in (RFC 8628, section 5.4).
func TestDeviceIsAlwaysAskedAbout(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.FirstParty, c.Type = true, Confidential })
	r := d.waiting(t)
	d.store.consents[[2]string{"usr_ada", appID}] = Consent{UserID: "usr_ada", ClientID: appID, Scopes: r.Scopes, Resources: []string{deskIssuer}}
	if ok, err := d.Consented(t.Context(), &r.Request, d.people["usr_ada"]); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestApprovedDeviceHasAGrant(t *testing.T) {
	d := newDesk(t)
	r := d.waiting(t)
	if err := d.ApproveDevice(t.Context(), r, d.approval("ada")); err != nil {
		t.Fatal(err)
	}
	grant, device := only(t, d.store.grants), only(t, d.store.devices)
	want := Grant{
		ID: device.GrantID, ClientID: appID, UserID: "usr_ada", Subject: "sub-ada", Scopes: []string{"openid", "streams:read"},
		SID: "sid-1", AuthTime: d.clock.Add(-time.Minute), CreatedAt: d.clock, ExpiresAt: device.ExpiresAt,
	}
	if diff := cmp.Diff(want, grant); diff != "" {
		t.Error(diff)
	}
	if device.State != DeviceApproved || len(d.store.codes) != 0 {
		t.Errorf("the device is %s, and there are %d codes", device.State, len(d.store.codes))
	}
	if err := d.ApproveDevice(t.Context(), r, d.approval("ada")); !errors.Is(err, ErrUsed) {
		t.Errorf("a second time: %v", err)
	}
	if err := d.DenyDevice(t.Context(), r); !errors.Is(err, ErrUsed) {
		t.Errorf("refused then: %v", err)
	}
}

func TestDeniedDeviceIsNotApproved(t *testing.T) {
	d := newDesk(t)
	r := d.waiting(t)
	if err := d.DenyDevice(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := d.ApproveDevice(t.Context(), r, d.approval("ada")); !errors.Is(err, ErrUsed) {
		t.Errorf("got %v", err)
	}
	if only(t, d.store.devices).State != DeviceDenied || len(d.store.grants) != 0 {
		t.Error("it is let in")
	}
}

func TestApproveDeviceLooksAgain(t *testing.T) {
	ended := func(t *testing.T, err error) {
		if !errors.Is(err, ErrEnded) {
			t.Errorf("got %v", err)
		}
	}
	denied := func(t *testing.T, err error) { onPage(t, refused(t, err, AccessDenied)) }
	tests := []struct {
		name   string
		change func(*desk)
		check  func(*testing.T, error)
	}{
		{"client disabled", func(d *desk) { d.client(func(c *Client) { c.DisabledAt = d.clock }) }, ended},
		{"client without the grant", func(d *desk) { d.client(func(c *Client) { c.GrantTypes = nil }) }, ended},
		{"person gone", func(d *desk) { delete(d.people, "usr_ada") }, denied},
		{"person gone in the store", func(d *desk) { d.store.setPerson("usr_ada", true) }, ended},
		{"person not known now", func(d *desk) {
			d.cfg.Person = func(context.Context, string) (*Person, error) { return nil, errors.New("no directory") }
		}, func(t *testing.T, err error) { refused(t, err, Unavailable) }},
		{"failing store", func(d *desk) { d.fails("Authorize") }, func(t *testing.T, err error) {
			if err == nil || errors.Is(err, ErrEnded) || errors.Is(err, ErrUsed) {
				t.Errorf("got %v", err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			r, a := d.waiting(t), d.approval("ada")
			test.change(d)
			test.check(t, d.ApproveDevice(t.Context(), r, a))
			if len(d.store.grants) != 0 || only(t, d.store.devices).State != DevicePending {
				t.Error("something was given")
			}
		})
	}
}

func TestDeviceRemembersOnlyWhenItIsToldTo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t)
		a := d.approval("ada")
		a.Remember = rapid.Bool().Draw(rt, "remember")
		if err := d.ApproveDevice(t.Context(), d.waiting(t), a); err != nil {
			rt.Fatal(err)
		}
		if got := len(d.store.consents) == 1; got != a.Remember {
			rt.Errorf("remembered: %v, want %v", got, a.Remember)
		}
	})
}
