package provider

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestRequestIsReadWhole(t *testing.T) {
	d := newDesk(t)
	v := with("scope", "openid streams:read  openid streams:write", "nonce", "n", "prompt", "login consent", "max_age", "0",
		"login_hint", "ada@example.com", "response_mode", "query", "ui_locales", "de", "display", "popup", "claims", "{}", "acr_values", "1", "surprise", "yes")
	v["resource"] = []string{deskIssuer + "/api", "https://api.other.example/v1", deskIssuer + "/api", ""}
	got := d.request(t, v)
	want := &Request{
		RedirectURI: appURI, RedirectGiven: true, Scopes: []string{"openid", "streams:read", "streams:write"},
		Resources: []string{deskIssuer + "/api", "https://api.other.example/v1"},
		State:     "s&t=a t?e#", Nonce: "n", Challenge: appChallenge, Prompt: []string{"login", "consent"}, LoginHint: "ada@example.com",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Request{}, "Client", "Params", "pushed")); diff != "" {
		t.Error(diff)
	}
	if got.Client.ID != appID || got.Params.Encode() != v.Encode() {
		t.Errorf("client %s, parameters %s", got.Client.ID, got.Params.Encode())
	}
	if again := d.request(t, got.Params.values); !cmp.Equal(got.Scopes, again.Scopes) || again.State != got.State {
		t.Error("asked again after a sign-in it is another request")
	}
	if r := d.request(t, good()); r.MaxAge >= 0 || r.Prompt != nil || r.Wants("login") {
		t.Errorf("without max_age and prompt: %v, %v", r.MaxAge, r.Prompt)
	}
}

// requestRefusals are requests that the client is told about, and the code.
var requestRefusals = []struct {
	name, param, value, want string
}{
	{"response_type missing", "response_type", "", InvalidRequest},
	{"response_type of two", "response_type", "code id_token", UnsupportedResponse},
	{"response_type unknown", "response_type", "none", UnsupportedResponse},
	{"response_type in upper case", "response_type", "CODE", UnsupportedResponse},
	{"response_mode fragment", "response_mode", "fragment", InvalidRequest},
	{"response_mode form_post", "response_mode", "form_post", InvalidRequest},
	{"response_mode jwt", "response_mode", "query.jwt", InvalidRequest},
	{"nonce too long", "nonce", strings.Repeat("n", 513), InvalidRequest},
	{"nonce with a line feed", "nonce", "a\nb", InvalidRequest},
	{"challenge missing, method there", "code_challenge", "", InvalidRequest},
	{"challenge too short", "code_challenge", appChallenge[1:], InvalidRequest},
	{"challenge too long", "code_challenge", strings.Repeat("a", 129), InvalidRequest},
	{"challenge in base64", "code_challenge", appChallenge[1:] + "+", InvalidRequest},
	{"challenge padded", "code_challenge", appChallenge + "=", InvalidRequest},
	{"challenge with a space", "code_challenge", appChallenge + " ", InvalidRequest},
	{"scope unknown", "scope", "openid nobody:knows", InvalidScope},
	{"scope that the client may not ask for", "scope", "billing:write", InvalidScope},
	{"scope that the policy lost", "scope", "gone:read", InvalidScope},
	{"scope with a quote", "scope", `streams:"read"`, InvalidScope},
	{"scope with a tab", "scope", "openid\tstreams:read", InvalidScope},
	{"scope in upper case", "scope", "OPENID", InvalidScope},
	{"resource elsewhere", "resource", "https://evil.example/", InvalidTarget},
	{"resource with a fragment", "resource", deskIssuer + "/api#x", InvalidTarget},
	{"resource that is no URL", "resource", "api", InvalidTarget},
	{"prompt unknown", "prompt", "create", InvalidRequest},
	{"prompt none and another", "prompt", "none login", InvalidRequest},
	{"prompt none twice", "prompt", "none none", InvalidRequest},
	{"max_age negative", "max_age", "-1", InvalidRequest},
	{"max_age with a sign", "max_age", "+1", InvalidRequest},
	{"max_age no number", "max_age", "soon", InvalidRequest},
	{"max_age fractional", "max_age", "1.5", InvalidRequest},
	{"max_age too long", "max_age", "1000000000", InvalidRequest},
	{"login_hint too long", "login_hint", strings.Repeat("a", 257), InvalidRequest},
	{"login_hint with a control character", "login_hint", "a\x1bb", InvalidRequest},
	{"request object", "request", "eyJ.e30.x", RequestNotSupported},
	{"foreign request_uri", "request_uri", "https://app.example/request.jwt", RequestURINotSupported},
	{"whole request too long", "surprise", strings.Repeat("x", 2000), InvalidRequest},
}

func TestRefusalsGoToTheClient(t *testing.T) {
	for _, test := range requestRefusals {
		t.Run(test.name, func(t *testing.T) {
			_, err := newDesk(t).Request(t.Context(), params(t, with(test.param, test.value)))
			e := refused(t, err, test.want)
			want := url.Values{"error": {test.want}, "error_description": {e.Description}, "iss": {deskIssuer}, "state": {"s&t=a t?e#"}}
			if diff := cmp.Diff(want, answered(t, e.Redirect)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScopeThatIsRefusedIsNamed(t *testing.T) {
	_, err := newDesk(t).Request(t.Context(), params(t, with("scope", "streams:read nobody:knows")))
	if e := refused(t, err, InvalidScope); !strings.Contains(e.Description, "nobody:knows") {
		t.Errorf("got %q", e.Description)
	}
}

func TestLongRequestIsToldToBePushed(t *testing.T) {
	_, err := newDesk(t).Request(t.Context(), params(t, with("surprise", strings.Repeat("x", 2000))))
	if e := refused(t, err, InvalidRequest); !strings.Contains(e.Description, "PAR") {
		t.Errorf("got %q", e.Description)
	}
}

func TestStateThatIsRefusedIsNotSentBack(t *testing.T) {
	for _, state := range []string{strings.Repeat("s", maxState+1), "a\r\nLocation: x"} {
		_, err := newDesk(t).Request(t.Context(), params(t, with("state", state)))
		if v := answered(t, refused(t, err, InvalidRequest).Redirect); v.Has("state") {
			t.Errorf("it is: %q", v.Get("state"))
		}
	}
	r := newDesk(t).request(t, with("state", strings.Repeat("s", 1024), "nonce", strings.Repeat("n", 512)))
	if len(r.State) != 1024 || len(r.Nonce) != 512 {
		t.Error("the longest state or nonce is not taken")
	}
}

// Each parameter that comes twice is refused before it is known whose request it is.
func TestDoubledParametersAreRefused(t *testing.T) {
	for name := range maps.Keys(with("nonce", "n", "prompt", "login", "max_age", "1", "login_hint", "a", "id_token_hint", "x", "request_uri", "x", "response_mode", "query")) {
		v := good()
		v[name] = []string{"a", "b"}
		_, err := ParseQuery(v.Encode())
		onPage(t, refused(t, err, InvalidRequest))
	}
}

func TestClientThatMayNotAskForCodesIsTold(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.GrantTypes = []string{GrantDevice} })
	_, err := d.Request(t.Context(), params(t, good()))
	answered(t, refused(t, err, UnauthorizedClient).Redirect)
}

func TestWithoutSignInThereAreNoCodes(t *testing.T) {
	d := newDesk(t)
	d.rules.SignIn = false
	_, err := d.Request(t.Context(), params(t, good()))
	answered(t, refused(t, err, UnsupportedResponse).Redirect)
}

func TestUnknownClientOrURIShowsAPage(t *testing.T) {
	tests := []struct {
		name   string
		ask    url.Values
		client func(*Client)
	}{
		{"no client", with("client_id", ""), nil},
		{"unknown client", with("client_id", "client_other"), nil},
		{"client with a blank", with("client_id", appID+" "), nil},
		{"disabled client", good(), func(c *Client) { c.DisabledAt = time.Now() }},
		{"no URI, for openid", with("redirect_uri", ""), nil},
		{"no URI, several registered", with("redirect_uri", "", "scope", "streams:read"), func(c *Client) {
			c.RedirectURIs = append(c.RedirectURIs, "https://app.example/other")
		}},
		{"no URI, none registered", with("redirect_uri", "", "scope", "streams:read"), func(c *Client) { c.RedirectURIs = nil }},
		{"unknown client, many errors", with("client_id", "client_other", "response_type", "token", "prompt", "none login"), nil},
		{"unknown URI, many errors", with("redirect_uri", "https://evil.example", "response_type", "token", "request", "x"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			if test.client != nil {
				d.client(test.client)
			}
			_, err := d.Request(t.Context(), params(t, test.ask))
			onPage(t, refused(t, err, InvalidRequest))
		})
	}
}

func TestRedirectURIMayBeLeftOutWhereThereIsOne(t *testing.T) {
	r := newDesk(t).request(t, with("redirect_uri", "", "scope", "streams:read"))
	if r.RedirectURI != appURI || r.RedirectGiven {
		t.Errorf("got %q, given %v", r.RedirectURI, r.RedirectGiven)
	}
}

// Redirect URIs match exactly: whatever else is wrong, only they get an answer.
func TestRFC9700_2_1_OnlyRegisteredURIsOfTheCorpusGetAnAnswer(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.RedirectURIs = corpusClient.RedirectURIs })
	corpus(t, func(line int, uri string, ok bool) {
		p, err := ParseQuery(with("redirect_uri", uri, "response_type", "token").Encode())
		if err == nil {
			_, err = d.Request(t.Context(), p)
		}
		e, is := errors.AsType[*Error](err)
		if !is || ok != (e.Redirect != "") || ok && !strings.HasPrefix(e.Redirect, uri) {
			t.Errorf("line %d: %q: %v", line, uri, err)
		}
	})
}

func TestRFC9700_2_1_NoOtherURIGetsAnAnswer(t *testing.T) {
	d := newDesk(t)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(appURI)).Draw(t, "at")
		cut := rapid.IntRange(at, len(appURI)).Draw(t, "cut")
		uri := appURI[:at] + rapid.StringMatching(`[ -~]{0,6}`).Draw(t, "put") + appURI[cut:]
		if uri == appURI || uri == "" {
			return
		}
		_, err := d.Request(t.Context(), params(t, with("redirect_uri", uri, "response_type", "token")))
		onPage(t, refused(t, err, InvalidRequest))
	})
}

// Native apps get any port of a loopback address (RFC 8252, section 7.3).
func TestRFC9700_4_1_3_LoopbackMayHaveAnyPort(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.RedirectURIs = []string{"http://127.0.0.1/cb"} })
	r := d.request(t, with("redirect_uri", "http://127.0.0.1:51004/cb"))
	if got := d.Refuse(r, AccessDenied, "No."); !strings.HasPrefix(got, "http://127.0.0.1:51004/cb?error=access_denied&") {
		t.Errorf("got %s", got)
	}
	_, err := d.Request(t.Context(), params(t, with("redirect_uri", "http://127.0.0.1:51004/other")))
	onPage(t, refused(t, err, InvalidRequest))
}

// Public clients must use PKCE, plain is no way, and a challenge is never optional
// where the client cannot prove itself.
func TestRFC9700_2_1_1_PKCE(t *testing.T) {
	public := func(*Client) {}
	optional := func(c *Client) { c.Type, c.PKCEOptional = Confidential, true }
	tests := []struct {
		name              string
		client            func(*Client)
		challenge, method string
		ok                bool
	}{
		{"public with S256", public, appChallenge, "S256", true},
		{"public without", public, "", "", false},
		{"public that was allowed to go without", func(c *Client) { c.PKCEOptional = true }, "", "", false},
		{"public with plain", public, appChallenge, "plain", false},
		{"public without a method, which is plain", public, appChallenge, "", false},
		{"public with a method alone", public, "", "S256", false},
		{"public with a method in lower case", public, appChallenge, "s256", false},
		{"public with an unknown method", public, appChallenge, "S512", false},
		{"confidential with S256", func(c *Client) { c.Type = Confidential }, appChallenge, "S256", true},
		{"confidential without", func(c *Client) { c.Type = Confidential }, "", "", false},
		{"confidential that may go without", optional, "", "", true},
		{"confidential that may go without, with S256", optional, appChallenge, "S256", true},
		{"confidential that may go without, with plain", optional, appChallenge, "plain", false},
		{"confidential that may go without, without a method", optional, appChallenge, "", false},
		{"confidential that may go without, with a method alone", optional, "", "S256", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			d.client(test.client)
			r, err := d.Request(t.Context(), params(t, with("code_challenge", test.challenge, "code_challenge_method", test.method)))
			if !test.ok {
				answered(t, refused(t, err, InvalidRequest).Redirect)
			} else if err != nil || r.Challenge != test.challenge {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// The implicit grant and its kin are not there.
func TestRFC9700_2_1_2_NoTokenComesFromTheAuthorizationEndpoint(t *testing.T) {
	for _, kind := range []string{"token", "id_token", "id_token token", "code token", "code id_token token", "none"} {
		_, err := newDesk(t).Request(t.Context(), params(t, with("response_type", kind)))
		answered(t, refused(t, err, UnsupportedResponse).Redirect)
	}
}

// Every answer, good or bad, says who it is from, so that mix-ups are seen.
func TestRFC9700_4_4_2_1_EveryAnswerNamesTheIssuer(t *testing.T) {
	d := newDesk(t)
	r := d.request(t, good())
	answered(t, d.Refuse(r, AccessDenied, ""))
	to, err := d.Approve(t.Context(), r, d.approval("ada"))
	if err != nil {
		t.Fatal(err)
	}
	answered(t, to)
}

// The server is no open redirector: an app that registered itself gets no browser
// by an error before somebody signed in.
func TestRFC9700_4_11_2_SelfRegisteredAppsGetNoRedirectByErrors(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.Dynamic = true })
	for _, test := range requestRefusals {
		_, err := d.Request(t.Context(), params(t, with(test.param, test.value)))
		onPage(t, refused(t, err, test.want))
	}
	answered(t, d.Refuse(d.request(t, good()), AccessDenied, "")) // the person said so
}

func TestFailingStoreConcludesNothing(t *testing.T) {
	d := newDesk(t)
	d.fails("Client")
	_, err := d.Request(t.Context(), params(t, good()))
	e := refused(t, err, Unavailable)
	onPage(t, e)
	if e.Status != http.StatusServiceUnavailable || e.RetryAfter == 0 {
		t.Errorf("status %d, again after %s", e.Status, e.RetryAfter)
	}
}

func TestAnswerKeepsTheQueryThatIsThere(t *testing.T) {
	tests := []struct{ uri, want string }{
		{"https://a.example/cb", "https://a.example/cb?code=x"},
		{"https://a.example/cb?", "https://a.example/cb?code=x"},
		{"https://a.example/cb?b=%7E+%20&c", "https://a.example/cb?b=%7E+%20&c&code=x"},
		{"https://a.example/cb?b&", "https://a.example/cb?b&code=x"},
		{"com.example.app:/cb", "com.example.app:/cb?code=x"},
	}
	for _, test := range tests {
		if got := withQuery(test.uri, url.Values{"code": {"x"}}); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestRefusalOfAPersonCarriesWhatTheClientSaid(t *testing.T) {
	d := newDesk(t)
	got := answered(t, d.Refuse(d.request(t, good()), AccessDenied, "Not today."))
	want := url.Values{"error": {AccessDenied}, "error_description": {"Not today."}, "state": {"s&t=a t?e#"}, "iss": {deskIssuer}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(good().Encode())
	f.Add(with("scope", "it's").Encode())
	for _, test := range requestRefusals {
		f.Add(with(test.param, test.value).Encode())
	}
	f.Fuzz(func(t *testing.T, query string) {
		p, err := ParseQuery(query)
		if err != nil {
			return
		}
		d := newDesk(t)
		r, err := d.Request(t.Context(), p.Without("id_token_hint"))
		if err != nil {
			if e := refused(t, err, err.(*Error).Code); e.Redirect != "" {
				answered(t, e.Redirect)
			}
			return
		}
		if r.RedirectURI != appURI || r.Client.ID != appID || len(r.Scopes) == 0 || len(r.Challenge) < 43 || slices.Contains(r.Scopes, "gone:read") {
			t.Errorf("let through: %+v", r)
		}
	})
}

// A request that names no scope asks for all that its app was given and that there
// still are (RFC 6749, section 3.3).
func TestRequestWithoutScopesAsksForWhatTheClientWasGiven(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.Scopes = []string{"streams:read", "taken:away"} })
	r, err := d.Request(t.Context(), params(t, with("scope", "")))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"streams:read"}; !slices.Equal(r.Scopes, want) {
		t.Errorf("it asks for %q, want %q", r.Scopes, want)
	}
}

func TestRequestForNothingIsRefused(t *testing.T) {
	d := newDesk(t)
	d.client(func(c *Client) { c.Scopes = nil })
	_, err := d.Request(t.Context(), params(t, with("scope", "")))
	refused(t, err, InvalidScope)
}
