package provider

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// device keeps a device authorization in a state and returns its device code.
func (b *tokenBench) device(t testing.TB, state string) string {
	t.Helper()
	code, now := newSecret(devicePrefix), b.clock()
	d := Device{
		Hash: HashOf(code), UserCode: code[5:13], ClientID: "client_app", Scopes: []string{"openid", "a:read"}, State: DevicePending,
		CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute), Interval: deviceInterval,
	}
	if err := b.store.AddDevice(t.Context(), d, now, 10, 10); err != nil {
		t.Fatal(err)
	}
	switch state {
	case DeviceApproved:
		b.approve(t, code)
	case DeviceDenied:
		if err := b.store.DenyDevice(t.Context(), d.Hash, now); err != nil {
			t.Fatal(err)
		}
	}
	return code
}

// approve lets a device in.
func (b *tokenBench) approve(t testing.TB, code string) {
	t.Helper()
	now := b.clock()
	g := Grant{
		ID: newSecret("grt_"), ClientID: "client_app", UserID: "usr_ann", Subject: "local|ann", Scopes: []string{"openid", "a:read", "offline_access"},
		CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}
	if err := b.store.Authorize(t.Context(), Authorization{Grant: g, Device: HashOf(code)}, now); err != nil {
		t.Fatal(err)
	}
}

func poll(code string) Params { return form("grant_type", GrantDevice, "device_code", code) }

func TestDeviceWaitsAndIsLetIn(t *testing.T) {
	b := newTokenBench(t)
	c, code := b.app(t), b.device(t, DevicePending)
	b.refuses(t, c, poll(code), AuthorizationPending)
	b.pass(deviceInterval)
	b.refuses(t, c, poll(code), AuthorizationPending)
	b.approve(t, code)
	b.pass(deviceInterval)
	a := b.must(t, c, poll(code))
	if a.Scope != "openid a:read offline_access" || a.RefreshToken == "" || a.IDToken == "" || a.ExpiresIn != 600 {
		t.Errorf("answer %v %d %t", a.Scope, a.ExpiresIn, a.RefreshToken != "")
	}
	claims := claimsOf[idClaims](t, a.IDToken)
	want := idClaims{
		Issuer: tokenIssuer, Subject: "local|ann", Audience: "client_app", ATHash: leftHash(a.AccessToken),
		IssuedAt: b.clock().Unix(), Expiry: b.clock().Add(10 * time.Minute).Unix(),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("ID token (-want +got):\n%s", diff)
	}
	b.must(t, c, refreshForm(a.RefreshToken))
}

// Each poll that comes too early makes the interval 5 seconds longer (RFC 8628,
// section 3.5).
func TestPollsThatComeTooEarlyMakeTheIntervalLonger(t *testing.T) {
	b := newTokenBench(t)
	c, code := b.app(t), b.device(t, DevicePending)
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{0, AuthorizationPending},
		{4999 * time.Millisecond, SlowDown}, // the interval is 10 s now
		{5 * time.Second, SlowDown},         // 15 s
		{14 * time.Second, SlowDown},        // 20 s
		{20 * time.Second, AuthorizationPending},
		{20 * time.Second, AuthorizationPending},
	} {
		b.pass(step.after)
		b.refuses(t, c, poll(code), step.want)
	}
}

func TestDeviceCodesThatGiveNothing(t *testing.T) {
	b := newTokenBench(t)
	c := b.app(t)
	b.refuses(t, c, poll(b.device(t, DeviceDenied)), AccessDenied)

	pending, approved := b.device(t, DevicePending), b.device(t, DeviceApproved)
	other := b.other(nil)
	b.refuses(t, other, poll(pending), InvalidGrant)
	b.refuses(t, other, poll(approved), InvalidGrant)
	b.refuses(t, c, poll(pending), AuthorizationPending)

	b.pass(10 * time.Minute)
	b.refuses(t, c, poll(pending), ExpiredToken)
	b.refuses(t, c, poll(approved), ExpiredToken)
}

func TestDeviceCodesAreSingleUse(t *testing.T) {
	b := newTokenBench(t)
	c, code := b.app(t), b.device(t, DeviceApproved)
	answers := make([]*TokenAnswer, 50)
	racing(len(answers), func(i int) {
		a, err := b.Token(t.Context(), c, poll(code))
		if err != nil {
			wantError(t, err, InvalidGrant)
		}
		answers[i] = a
	})
	if n := count(answers); n != 1 {
		t.Errorf("%d answers have tokens", n)
	}
	b.pass(time.Hour)
	b.refuses(t, c, poll(code), InvalidGrant)
}

// count returns how many answers there are.
func count(answers []*TokenAnswer) (n int) {
	for _, a := range answers {
		if a != nil {
			n++
		}
	}
	return n
}

func TestDeviceLooksAgainAtThePerson(t *testing.T) {
	b := newTokenBench(t)
	c, code := b.app(t), b.device(t, DeviceApproved)
	b.person.May = isOneOf("b:read")
	if a := b.must(t, c, poll(code)); a.Scope != "openid offline_access" {
		t.Errorf("scope %q", a.Scope)
	}
	code = b.device(t, DeviceApproved)
	b.knowing = ErrNoPerson
	b.refuses(t, c, poll(code), InvalidGrant)
	b.knowing = nil
	b.refuses(t, c, poll(code), InvalidGrant)
}
