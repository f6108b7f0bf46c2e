package provider

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// push pushes a request of the client and returns its URI.
func (d *desk) push(t *testing.T, v url.Values) string {
	t.Helper()
	c, err := d.Provider.client(t.Context(), appID)
	if err != nil {
		t.Fatal(err)
	}
	uri, expires, err := d.Push(t.Context(), c, params(t, v), "192.0.2.1")
	if err != nil || expires != pushedLifetime || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") {
		t.Fatalf("%s, %s, %v", uri, expires, err)
	}
	return uri
}

// pushError pushes a request that is refused.
func (d *desk) pushError(t *testing.T, v url.Values) error {
	t.Helper()
	c, err := d.Provider.client(t.Context(), appID)
	if err != nil {
		t.Fatal(err)
	}
	uri, _, err := d.Push(t.Context(), c, params(t, v), "192.0.2.1")
	if uri != "" {
		t.Errorf("there is a URI: %s", uri)
	}
	return err
}

func reference(uri string) url.Values { return url.Values{"client_id": {appID}, "request_uri": {uri}} }

func TestPushedRequestIsTheRequestThatWasPushed(t *testing.T) {
	d := newDesk(t)
	v := with("nonce", "n", "prompt", "consent", "max_age", "60", "login_hint", "ada", "scope", "openid streams:read streams:read")
	v["resource"] = []string{deskIssuer + "/api", "https://api.other.example/v1"}
	want := d.request(t, v)
	uri := d.push(t, v)

	beside := reference(uri)
	beside.Set("scope", "streams:write")
	beside.Set("state", "other")
	beside.Set("redirect_uri", "https://evil.example")
	got := d.request(t, beside)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Request{}, "Client", "Params", "pushed")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(reference(uri), got.Params.values); diff != "" {
		t.Errorf("it is not asked again by its reference alone: %s", diff)
	}
}

func TestPushedRequestMayBeLong(t *testing.T) {
	d := newDesk(t)
	v := with("surprise", strings.Repeat("x", 3000), "client_secret", "wgcs_secret", "client_assertion", "eyJ")
	d.request(t, reference(d.push(t, v)))
	if got := only(t, d.store.pushed).Params; strings.Contains(got, "secret") || strings.Contains(got, "eyJ") || strings.Contains(got, "xxx") {
		t.Errorf("kept: %s", got)
	}
}

func TestPushRefusesWhatRequestRefuses(t *testing.T) {
	for _, test := range requestRefusals {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			switch {
			case test.param == "surprise": // only an address has to be short
				newDesk(t).push(t, with(test.param, test.value))
				return
			case test.param == "request_uri":
				want = InvalidRequest // RFC 9126, section 2.1
			}
			d := newDesk(t)
			onPage(t, refused(t, d.pushError(t, with(test.param, test.value)), want))
			if len(d.store.pushed) != 0 {
				t.Error("it was kept")
			}
		})
	}
}

func TestPushRefusesWhatIsNotTheClients(t *testing.T) {
	d := newDesk(t)
	for _, v := range []url.Values{
		with("redirect_uri", "https://evil.example"), with("redirect_uri", ""), with("client_id", "client_other"),
		with("request_uri", "urn:ietf:params:oauth:request_uri:x"),
	} {
		onPage(t, refused(t, d.pushError(t, v), InvalidRequest))
	}
}

func TestPushedRequestIsForItsClientAndItsTimeAndOnce(t *testing.T) {
	tests := []struct {
		name string
		ask  func(*testing.T, *desk, string) url.Values
	}{
		{"unknown", func(_ *testing.T, _ *desk, uri string) url.Values { return reference(uri[:len(uri)-1] + "_") }},
		{"empty", func(*testing.T, *desk, string) url.Values { return reference(requestURI) }},
		{"of another client", func(_ *testing.T, d *desk, uri string) url.Values {
			d.client(func(c *Client) { c.ID = "client_other" })
			v := reference(uri)
			v.Set("client_id", "client_other")
			return v
		}},
		{"expired", func(_ *testing.T, d *desk, uri string) url.Values {
			d.clock = d.clock.Add(pushedLifetime)
			return reference(uri)
		}},
		{"used", func(t *testing.T, d *desk, uri string) url.Values {
			if _, err := d.Approve(t.Context(), d.request(t, reference(uri)), d.approval("ada")); err != nil {
				t.Fatal(err)
			}
			return reference(uri)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			v := test.ask(t, d, d.push(t, good()))
			_, err := d.Request(t.Context(), params(t, v))
			onPage(t, refused(t, err, InvalidRequestURI))
		})
	}
}

func TestReferenceWithoutClientShowsAPage(t *testing.T) {
	d := newDesk(t)
	v := reference(d.push(t, good()))
	v.Del("client_id")
	_, err := d.Request(t.Context(), params(t, v))
	onPage(t, refused(t, err, InvalidRequest))
}

func TestPushedRequestIsAnsweredOnceOfTwoTabs(t *testing.T) {
	d := newDesk(t)
	uri := d.push(t, good())
	one, two := d.request(t, reference(uri)), d.request(t, reference(uri))
	if _, err := d.Approve(t.Context(), one, d.approval("ada")); err != nil {
		t.Fatal(err)
	}
	_, err := d.Approve(t.Context(), two, d.approval("ada"))
	onPage(t, refused(t, err, InvalidRequestURI))
	if len(d.store.codes) != 1 {
		t.Errorf("there are %d codes", len(d.store.codes))
	}
}

// What is registered is looked at when the request is used too.
func TestPushedRequestLosesAURIThatTheClientLost(t *testing.T) {
	d := newDesk(t)
	uri := d.push(t, good())
	d.client(func(c *Client) { c.RedirectURIs = []string{"https://app.example/new"} })
	_, err := d.Request(t.Context(), params(t, reference(uri)))
	onPage(t, refused(t, err, InvalidRequest))
}

func TestPushIsBounded(t *testing.T) {
	d := newDesk(t)
	for range perSource {
		d.push(t, good())
	}
	e := refused(t, d.pushError(t, good()), Unavailable)
	if e.Status != http.StatusTooManyRequests || e.RetryAfter == 0 {
		t.Errorf("status %d, again after %s", e.Status, e.RetryAfter)
	}
	d.clock = d.clock.Add(pushedLifetime)
	d.push(t, good())
}

func TestPushWithAFailingStoreIsUnavailable(t *testing.T) {
	d := newDesk(t)
	uri := d.push(t, good())
	d.fails("Push")
	if e := refused(t, d.pushError(t, good()), Unavailable); e.Status != http.StatusServiceUnavailable {
		t.Errorf("status %d", e.Status)
	}
	d.fails("Pushed")
	_, err := d.Request(t.Context(), params(t, reference(uri)))
	onPage(t, refused(t, err, Unavailable))
}
