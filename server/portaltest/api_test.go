package portaltest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A caller calls the API of a gate.
type caller struct {
	g      *gate
	header http.Header // says who calls
}

// as returns a caller with a session of somebody, who signs in for that and stays
// signed in, like a browser that is left alone. The session itself calls, as scripts of
// the gate's own pages would: its tokens are no administrator's.
func (g *gate) as(t *testing.T, name string) caller {
	t.Helper()
	form := url.Values{"username": {name}, "password": {password(name)}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/_auth/login", strings.NewReader(form.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, _ := fetch(t, req)
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s cannot sign in: %s", name, resp.Status)
	}
	header := http.Header{"Sec-Fetch-Site": {"same-origin"}}
	for _, cookie := range resp.Cookies() {
		header.Add("Cookie", cookie.Name+"="+cookie.Value)
	}
	return caller{g, header}
}

// byKey returns a caller with the access key.
func (g *gate) byKey() caller {
	return caller{g, http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(g.keyID+":"+g.keySecret))}}}
}

// token returns a session token of the caller, for programs.
func (c caller) token(t *testing.T) string {
	t.Helper()
	var answer struct {
		Token string `json:"access_token"`
	}
	c.call(t, http.MethodPost, "/_auth/token", fields{}, &answer)
	return answer.Token
}

// call calls the API, with a JSON body unless that is nil, and reads the answer unless
// into is nil. Any answer but a good one fails the test.
func (c caller) call(t *testing.T, method, path string, body, into any) {
	t.Helper()
	status, text := c.try(t, method, path, body)
	if status < 200 || status > 299 {
		t.Fatalf("%s %s answers %d: %s", method, path, status, text)
	}
	if into != nil {
		must(t, json.Unmarshal(text, into))
	}
}

// try is call for answers of any kind.
func (c caller) try(t *testing.T, method, path string, body any) (status int, text []byte) {
	t.Helper()
	var content io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		must(t, err)
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.g.url+path, content)
	must(t, err)
	req.Header = c.header.Clone()
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, text := fetch(t, req)
	return resp.StatusCode, text
}

// fetch sends one request and reads the answer. Redirects are not followed.
func fetch(t *testing.T, req *http.Request) (resp *http.Response, text []byte) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	must(t, err)
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	must(t, err)
	return resp, text
}

// fields are those of a request to the API.
type fields = map[string]any

// A newKey is an API key that was made just now.
type newKey struct{ ID, Key, Owner string }

// newKey makes an API key.
func (c caller) newKey(t *testing.T, f fields) newKey {
	t.Helper()
	var answer struct {
		Key newKey `json:"api_key"`
	}
	c.call(t, http.MethodPost, "/v1/auth/keys", f, &answer)
	return answer.Key
}

// newClient registers an app and returns its ID and secret, which is "" where it has
// none.
func (c caller) newClient(t *testing.T, f fields) (id, secret string) {
	t.Helper()
	var answer struct {
		Client struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
	}
	c.call(t, http.MethodPost, "/v1/auth/clients", f, &answer)
	return answer.Client.ID, answer.Client.Secret
}

// newWebhook makes a webhook that leads to the receiver, below a path of it, and
// returns its ID.
func (c caller) newWebhook(t *testing.T, path string, f fields) (id string) {
	t.Helper()
	f["url"] = c.g.hook.URL + path
	var answer struct{ Webhook struct{ ID string } }
	c.call(t, http.MethodPost, "/v1/auth/webhooks", f, &answer)
	return answer.Webhook.ID
}

// A delivery is how the API shows what was sent to a webhook. Status is 0 before the
// first answer.
type delivery struct {
	ID     string
	State  string
	Status int `json:"last_status"`
}

// deliveries returns those of a webhook.
func (c caller) deliveries(t *testing.T, webhook string) []delivery {
	t.Helper()
	var answer struct{ Deliveries []delivery }
	c.call(t, http.MethodGet, "/v1/auth/webhooks/"+webhook+"/deliveries", nil, &answer)
	return answer.Deliveries
}

// keyStatus is that of a key: "active", "expired".
func (c caller) keyStatus(t *testing.T, id string) string {
	t.Helper()
	var answer struct {
		Key struct{ Status string } `json:"api_key"`
	}
	c.call(t, http.MethodGet, "/v1/auth/keys/"+id, nil, &answer)
	return answer.Key.Status
}
