package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A managed is a server whose management API is used: by the access keys admin
// (an administrator), ann and bob, whose secrets are "secret". Every answer is
// compared with the description of the API.
type managed struct {
	*testServer
	described *describedAPI
}

// managedPolicy lets webhooks lead to receivers of tests, and ann and bob look into
// the audit log.
const managedPolicy = `
webhooks: {allow_networks: [127.0.0.0/8, "::1/128"], allow_http: true}
roles:
  account_admin: {members: [ann, bob]}
trial: {enabled: true}
upstreams:
  - {route: /, url: "static://204"}
`

func manage(t *testing.T, change ...func(*Config)) *managed {
	t.Helper()
	cfg := testConfig(t)
	withKeys(t, "admin:secret", "ann:secret", "bob:secret")(&cfg)
	withPolicy(t, managedPolicy)(&cfg)
	cfg.Admins = []string{"key:admin"}
	for _, c := range change {
		c(&cfg)
	}
	return &managed{startServer(t, cfg), readAPI(t)}
}

// as sends a request with the access key of that ID. JSON bodies are labelled.
func (m *managed) as(id, method, path, body string, headers ...string) answer {
	m.t.Helper()
	return m.call(method, path, body, append([]string{"Authorization", basic(id, "secret")}, headers...)...)
}

func (m *managed) call(method, path, body string, headers ...string) answer {
	m.t.Helper()
	if body != "" {
		headers = append([]string{"Content-Type", "application/json"}, headers...)
	}
	a := m.do(method, path, body, headers...)
	m.described.checkAnswer(m.t, a)
	return a
}

// at returns what stands in a JSON answer at a path, such as "webhook.id" or
// "entries.0.action"; nil where there is nothing.
func (a answer) at(t *testing.T, path string) any {
	t.Helper()
	v := decoded(t, a.body)
	for step := range strings.SplitSeq(path, ".") {
		list, isList := v.([]any)
		if !isList {
			v = mapOf(v)[step]
			continue
		}
		i := int(step[0] - '0')
		if i >= len(list) {
			return nil
		}
		v = list[i]
	}
	return v
}

// text is at for what must be text.
func (a answer) text(t *testing.T, path string) string {
	t.Helper()
	s, ok := a.at(t, path).(string)
	if !ok {
		t.Fatalf("%s %s: no text at %s in %q", a.Request.Method, a.Request.URL, path, a.body)
	}
	return s
}

// A try is one line of a table: a request, and what its answer must be.
type try struct {
	as, method, path, body string
	status                 int
	code                   string   // of the error, "" for none
	has                    []string // that the answer contains
	hasNot                 []string
}

func (m *managed) try(tries []try) {
	m.t.Helper()
	for _, x := range tries {
		a := m.as(x.as, x.method, x.path, x.body).want(m.t, x.status, x.code)
		for _, text := range x.has {
			if !strings.Contains(a.body, text) {
				m.t.Errorf("%s %s %s: %q lacks %q", x.method, x.path, x.body, a.body, text)
			}
		}
		for _, text := range x.hasNot {
			if strings.Contains(a.body, text) {
				m.t.Errorf("%s %s %s: %q holds %q", x.method, x.path, x.body, a.body, text)
			}
		}
	}
}

// A receiver is a real server that webhooks lead to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex // guards the rest
	status int
	got    []received
}

type received struct {
	header http.Header
	body   string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body) // what is missing shows in the comparison
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, received{req.Header, string(body)})
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, "thanks")
	}))
	t.Cleanup(r.Close)
	return r
}

// answer sets what is answered from now on.
func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// all returns what arrived that contains a text.
func (r *receiver) all(text string) []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []received
	for _, got := range r.got {
		if strings.Contains(got.body, text) {
			found = append(found, got)
		}
	}
	return found
}

// wait waits until as many arrived that contain a text, and returns the last.
func (r *receiver) wait(t *testing.T, text string, n int) received {
	t.Helper()
	eventually(t, "webhook about "+text, func() bool { return len(r.all(text)) >= n })
	return r.all(text)[n-1]
}
