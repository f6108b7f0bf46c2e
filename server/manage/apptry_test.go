package manage

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// authorizeLink is the address that the page of an attempt opens.
func authorizeLink(t *testing.T, s shown) url.Values {
	t.Helper()
	link := regexp.MustCompile(`<pre id="authorize"[^>]*><code>([^<]*)</code>`).FindStringSubmatch(s.Body)
	if link == nil {
		t.Fatalf("the page has no address: %.900s", s.Body)
	}
	u, err := url.Parse(html.UnescapeString(link[1]))
	if err != nil || u.Host != "id.example.com" || u.Path != "/oauth/authorize" {
		t.Fatalf("%v: %s", err, link[1])
	}
	return u.Query()
}

func TestTryingAnAppComposesARequestThatItsCommandRedeems(t *testing.T) {
	d := appDesk(t, nil)
	first, second := d.get("apps/"+appID+"/try"), d.get("apps/"+appID+"/try")
	q, other := authorizeLink(t, first), authorizeLink(t, second)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) != 43 || q.Get(name) == other.Get(name) {
			t.Errorf("%s is %q, then %q", name, q.Get(name), other.Get(name))
		}
	}
	verifier := regexp.MustCompile(`code_verifier=([A-Za-z0-9_-]{43})`).FindStringSubmatch(first.Body)
	if verifier == nil {
		t.Fatal("the command has no verifier")
	}
	sum := sha256.Sum256([]byte(verifier[1]))
	if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != q.Get("code_challenge") {
		t.Error("the verifier is not that of the challenge")
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		q.Del(name)
	}
	want := url.Values{
		"response_type": {"code"}, "client_id": {appID}, "redirect_uri": {"https://plots.example.com/cb"}, "scope": {"openid streams:read"}, "code_challenge_method": {"S256"},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	text := html.UnescapeString(first.Body)
	if want := "curl 'https://id.example.com/oauth/token' \\\n  -u '" + appID + `':"$CLIENT_SECRET"`; !strings.Contains(text, want) || !strings.Contains(text, `"code=$CODE"`) {
		t.Error("the page lacks the command that redeems the code")
	}
}

func TestTryingAnAppTakesNothingButWhatTheAppHas(t *testing.T) {
	d := appDesk(t, map[string]any{"pkce": "optional"})
	q := authorizeLink(t, d.get("apps/"+appID+"/try?chosen=1&redirect_uri=http://localhost:8080/cb&scope=email&scope=admin:all&prompt=login&pkce=none"))
	q.Del("state")
	want := url.Values{
		"response_type": {"code"}, "client_id": {appID}, "redirect_uri": {"http://localhost:8080/cb"}, "scope": {"email"}, "prompt": {"login"},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	d = appDesk(t, nil)
	q = authorizeLink(t, d.get("apps/"+appID+"/try?chosen=1&redirect_uri=https://evil.example/&prompt=evil&pkce=none"))
	if q.Get("redirect_uri") != "https://plots.example.com/cb" || q.Has("prompt") || q.Has("scope") || q.Get("code_challenge") == "" {
		t.Errorf("request %v", q)
	}
}

func TestTryingAnAppShowsEachOfItsWays(t *testing.T) {
	d := appDesk(t, map[string]any{
		"type": "public", "token_endpoint_auth_method": "none", "redirect_uris": []string{}, "grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}, "status": "disabled",
	})
	text := html.UnescapeString(d.get("apps/"+appID+"/try").want(http.StatusOK, "The app is disabled", "Ask for a code, as the device does").Body)
	for _, want := range []string{
		"curl 'https://id.example.com/oauth/device' \\\n  --data-urlencode 'scope=openid streams:read' \\\n  -d 'client_id=" + appID + "'", `-d "device_code=$DEVICE_CODE"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	d = appDesk(t, map[string]any{"token_endpoint_auth_method": "private_key_jwt", "grant_types": []string{"client_credentials"}, "redirect_uris": []string{}})
	d.get("apps/"+appID+"/try").want(http.StatusOK, "CLIENT_ASSERTION").without("CLIENT_SECRET", "Send the browser here")
	delete(d.api.answers, "GET /.well-known/openid-configuration")
	d.get("apps/"+appID+"/try").want(http.StatusOK, "There is nothing to try")
}
