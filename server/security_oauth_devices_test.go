package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"wavegate/server/limit"
)

// A device is what a device authorization was answered with.
type startedDevice struct {
	Code string `json:"device_code"`
	User string `json:"user_code"`
}

// device begins a device authorization.
func (o attackedOAuth) device(c app, change ...string) startedDevice {
	o.t.Helper()
	a := o.call("/oauth/device", c, values(url.Values{"scope": {"offline_access things:read"}}, change...))
	var d startedDevice
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || d.Code == "" || d.User == "" {
		o.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return d
}

// polling is a good token request with a device code.
func polling(code string) url.Values {
	return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code}}
}

// typeIn types a user code into the page.
func (b *browser) typeIn(code string) answer {
	b.t.Helper()
	return b.send("POST", deviceCodePath, url.Values{"user_code": {code}}, fromOurPage...)
}

// TestADeviceCodeIsUsedOnceByItsClientAlone, and only after somebody agreed.
func TestADeviceCodeIsUsedOnceByItsClientAlone(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, other := o.app("ci", hasAll), o.app("other", hasAll)
	ann, bob := o.person("ann"), o.person("bob")
	d := o.device(c)
	o.token(other, polling(d.Code)).refused(t, "another client", 400, "invalid_grant")
	o.token(c, polling(d.Code)).refused(t, "before anybody agreed", 400, "authorization_pending")
	o.token(c, polling(d.Code)).refused(t, "too soon", 400, "slow_down")
	if a := ann.send("GET", devicePath+"?user_code="+d.User, nil); a.StatusCode != 200 || strings.Contains(a.body, `value="allow"`) {
		t.Errorf("the link agrees by itself: %d", a.StatusCode)
	}
	sealed := ann.typeIn(d.User).sealed(t)
	for what, b := range map[string]*browser{"another person": bob, "another browser of hers": o.person("ann"), "nobody": newBrowser(t, o.URL)} {
		if a := b.decide(deviceAllowPath, sealed, "allow"); a.StatusCode < 400 || a.StatusCode > 499 {
			t.Errorf("%s: %d", what, a.StatusCode)
		}
	}
	o.token(c, polling(d.Code)).refused(t, "after these", 400, "slow_down")
	got := atOnce(20, func(int) int { return ann.decide(deviceAllowPath, sealed, "allow").StatusCode })
	if got[200] != 1 || got[409] != 19 {
		t.Errorf("20 approvals: %v", got)
	}
	o.token(other, polling(d.Code)).refused(t, "another client, once it was approved", 400, "invalid_grant")
	statuses := atOnce(50, func(int) int { return o.token(c, polling(d.Code)).StatusCode })
	if statuses[200] != 1 || statuses[400] != 49 {
		t.Errorf("50 redemptions: %v", statuses)
	}
	o.token(c, polling(d.Code)).refused(t, "again", 400, "invalid_grant")
	if a := bob.typeIn(d.User); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("its user code still works: %d", a.StatusCode)
	}
	denied := o.device(c)
	ann.decide(deviceAllowPath, ann.typeIn(denied.User).sealed(t), "deny").want(t, 200, "")
	o.token(c, polling(denied.Code)).refused(t, "denied", 400, "access_denied")
	late := o.device(c)
	asked := ann.typeIn(late.User).sealed(t)
	o.alter("UPDATE oauth_devices SET expires_at = 1000")
	ann.decide(deviceAllowPath, asked, "allow").want(t, 409, "")
	if a := o.token(c, polling(late.Code)); a.StatusCode != 400 || strings.Contains(a.body, "access_token") {
		t.Errorf("an expired one: %d %s", a.StatusCode, a.body)
	}
	for bit := 0; bit < 8*len(late.Code); bit += 11 {
		if a := o.token(c, polling(flipped(late.Code, bit))); a.StatusCode != 400 {
			t.Errorf("bit %d: %d", bit, a.StatusCode)
		}
	}
}

// TestGuessingUserCodesLocksTheGuesserAndNobodyElse: the account, and the source.
func TestGuessingUserCodesLocksTheGuesserAndNobodyElse(t *testing.T) {
	t.Parallel()
	o := attackOAuthWith(t, "", func(*Server) {})
	c := o.app("ci", hasAll)
	d := o.device(c)
	ann, bob := o.person("ann"), o.person("bob")
	locked := 0
	for range 12 {
		if a := ann.typeIn("BCDF-GHJK"); a.StatusCode == http.StatusTooManyRequests {
			locked++
		}
	}
	if locked != 2 {
		t.Errorf("%d of 12 guesses were refused unseen", locked)
	}
	if a := ann.typeIn(d.User); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("ann goes on: %d", a.StatusCode)
	}
	ann.xhr("/things").want(t, 200, "") // what she does otherwise is not touched
	bob.typeIn(d.User).sealed(t)
	annElsewhere := []string{"X-Forwarded-For", "198.51.100.7"}
	if a := ann.send("POST", deviceCodePath, url.Values{"user_code": {d.User}}, append(annElsewhere, fromOurPage...)...); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("ann elsewhere: %d", a.StatusCode)
	}
	o.lockouts = limit.NewLockouts(limit.LockoutConfig{KeyTries: 1000})
	for i := range 25 {
		a := bob.typeIn("BCDF-GHJK")
		if (a.StatusCode == http.StatusTooManyRequests) != (i >= 20) {
			t.Errorf("guess %d from one address: %d", i, a.StatusCode)
		}
	}
}
