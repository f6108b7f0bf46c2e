package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"

	"wavegate/server/fault"
	"wavegate/server/portal"
	"wavegate/server/seal"
)

// A fakeAPI stands for the management API: it answers by method and path, and
// remembers the calls.
type fakeAPI struct {
	mu sync.Mutex
	// answers are what the API says, by "METHOD /path" without a query: JSON as a
	// string, a value that becomes JSON, a *fault.Error, or a func(Call) any of one of
	// these. What is not there does not exist (404).
	answers map[string]any
	calls   []Call
	header  http.Header // of every answer
}

// call is Visitor.Call.
func (f *fakeAPI) call(_ context.Context, c Call) (*Answer, error) {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	answer, ok := f.answers[c.Method+" "+c.Path]
	f.mu.Unlock()
	if !ok {
		return nil, fault.NotFound()
	}
	if ask, ok := answer.(func(Call) any); ok {
		answer = ask(c)
	}
	switch a := answer.(type) {
	case *fault.Error:
		return nil, a
	case string:
		return &Answer{http.StatusOK, f.header, []byte(a)}, nil
	}
	body, err := json.Marshal(answer)
	return &Answer{http.StatusOK, f.header, body}, err
}

// A testDesk is a portal at /gate/_portal/ before a fakeAPI, and the person who
// looks at it.
type testDesk struct {
	t testing.TB
	*Desk
	api *fakeAPI
	who *Visitor // nil: nobody is signed in
	jar map[string]string
}

// newDesk starts a portal for a person, ann, who has all permissions of somebody
// who is no administrator. answers are those of the API, see fakeAPI.
func newDesk(t testing.TB, answers map[string]any) *testDesk {
	t.Helper()
	look, err := portal.New("/gate/", portal.Branding{})
	if err != nil {
		t.Fatal(err)
	}
	drafts, err := seal.New([][]byte{bytes.Repeat([]byte{7}, seal.Size)})
	if err != nil {
		t.Fatal(err)
	}
	desk := New(Config{
		Base: "/gate/_portal/", Origin: func(*http.Request) string { return "https://gate.example.com/gate" },
		Pages: func() *portal.Pages { return look }, Drafts: drafts,
		SignIn: func(next string, again bool) string {
			q := url.Values{"next": {next}}
			if again {
				q.Set("switch", "1")
			}
			return "/gate/_auth/login?" + q.Encode()
		},
		SignOut: "/gate/_auth/logout",
	})
	api := &fakeAPI{answers: map[string]any{"GET /v1/auth/status": statusOf(false), "GET /v1/auth/usage": `{"rows": []}`}}
	maps.Copy(api.answers, answers)
	who := &Visitor{UserID: "usr_ann", Name: "ann", Email: "ann@example.com", Call: api.call}
	return &testDesk{t: t, Desk: desk, api: api, who: who, jar: map[string]string{}}
}

// statusOf is what the API says of the person.
func statusOf(admin bool) map[string]any {
	may := []string{
		"keys:read", "keys:write", "clients:read", "clients:write", "webhooks:read", "webhooks:write", "usage:read",
	}
	return map[string]any{"version": "1.2.3", "caller": map[string]any{
		"admin": admin, "roles": []string{"developer"}, "owner": "sub:local|ann", "permissions": may,
	}}
}

// admin makes the person an administrator.
func (d *testDesk) admin() *testDesk {
	d.api.answers["GET /v1/auth/status"] = statusOf(true)
	return d
}

// A shown is what the portal answered.
type shown struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string
}

// get opens a page: a path below the portal, with a query or without.
func (d *testDesk) get(target string) shown { d.t.Helper(); return d.send(http.MethodGet, target, nil) }

// post sends a form.
func (d *testDesk) post(target string, form url.Values) shown {
	d.t.Helper()
	return d.send(http.MethodPost, target, form)
}

// send makes a request as a browser does, which keeps cookies. An error that the
// caller of Serve would render is answered in one line, "code: message".
func (d *testDesk) send(method, target string, form url.Values) shown {
	d.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(d.t.Context(), method, "/gate/_portal/"+target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range d.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	if err := d.Serve(rec, r, d.who); err != nil {
		e := fault.From(err)
		rec.WriteHeader(e.Status)
		_, _ = io.WriteString(rec, e.Code+": "+e.Message)
	}
	res := rec.Result()
	for _, c := range res.Cookies() {
		d.jar[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(d.jar, c.Name)
		}
	}
	return shown{d.t, res.StatusCode, res.Header, rec.Body.String()}
}

// made are the calls of a method that were made: "DELETE" gives "/v1/auth/keys/key_1".
func (d *testDesk) made(method string) []string {
	d.api.mu.Lock()
	defer d.api.mu.Unlock()
	var list []string
	for _, c := range d.api.calls {
		if c.Method == method {
			list = append(list, c.Target())
		}
	}
	return list
}

// last is the last call of a method, as JSON where it has a body.
func (d *testDesk) last(method string) (c Call, body string) {
	d.t.Helper()
	d.api.mu.Lock()
	defer d.api.mu.Unlock()
	for _, c := range slices.Backward(d.api.calls) {
		if c.Method == method {
			payload, err := c.Payload()
			if err != nil {
				d.t.Fatal(err)
			}
			return c, string(payload)
		}
	}
	d.t.Fatalf("no %s was made", method)
	return Call{}, ""
}

// want fails the test unless the answer has the status and each of the words.
func (s shown) want(status int, words ...string) shown {
	s.t.Helper()
	if s.Status != status {
		s.t.Errorf("status %d, want %d: %.600s", s.Status, status, s.Body)
	}
	for _, word := range words {
		if !strings.Contains(s.Body, word) {
			s.t.Errorf("the page lacks %q", word)
		}
	}
	return s
}

// without fails the test if the answer has one of the words.
func (s shown) without(words ...string) shown {
	s.t.Helper()
	for _, word := range words {
		if strings.Contains(s.Body, word) {
			s.t.Errorf("the page has %q", word)
		}
	}
	return s
}

// leads fails the test unless the answer leads to a page below the portal.
func (s shown) leads(target string) shown {
	s.t.Helper()
	if got := s.Header.Get("Location"); s.Status != http.StatusSeeOther || got != "/gate/_portal/"+target {
		s.t.Errorf("%d to %q, want 303 to /gate/_portal/%s: %.600s", s.Status, got, target, s.Body)
	}
	return s
}

// form returns what a browser would send of the page's form whose action is a path
// below the portal: hidden fields, what stands in the others, what is ticked.
func (s shown) form(action string) url.Values {
	s.t.Helper()
	doc, err := html.Parse(strings.NewReader(s.Body))
	if err != nil {
		s.t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && attr(n, "action") == "/gate/_portal/"+action {
			return fieldsOf(n)
		}
	}
	s.t.Fatalf("status %d: no form goes to %s", s.Status, action)
	return nil
}

// fieldsOf are the fields of a form as they stand.
func fieldsOf(form *html.Node) url.Values {
	fields := url.Values{}
	for n := range form.Descendants() {
		name := attr(n, "name")
		if n.Type != html.ElementNode || name == "" || has(n, "disabled") {
			continue
		}
		switch kind := attr(n, "type"); {
		case n.Data == "input" && (kind == "checkbox" || kind == "radio"):
			if has(n, "checked") {
				fields.Add(name, attr(n, "value"))
			}
		case n.Data == "input":
			fields.Add(name, attr(n, "value"))
		case n.Data == "textarea":
			fields.Add(name, strings.TrimPrefix(textOf(n), "\n"))
		case n.Data == "select":
			fields.Add(name, chosen(n))
		}
	}
	return fields
}

// chosen is the value of a select.
func chosen(list *html.Node) string {
	first, found := "", false
	for n := range list.Descendants() {
		if n.Type != html.ElementNode || n.Data != "option" {
			continue
		}
		if has(n, "selected") {
			return attr(n, "value")
		}
		if !found {
			first, found = attr(n, "value"), true
		}
	}
	return first
}

func textOf(n *html.Node) string {
	var text strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			text.WriteString(c.Data)
		}
	}
	return text.String()
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}
