package webhook_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"wavegate/server/webhook"
)

// TestSignatureOfTheSpecification is the example that Standard Webhooks gives.
func TestSignatureOfTheSpecification(t *testing.T) {
	secret, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	must(t, err)
	got := webhook.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), secret)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// deliverOne sends one delivery, signed by a secret and, while secrets are
// changed, by the one before, and returns the request and both secrets.
func deliverOne(t *testing.T, changing bool) (req received, current, old webhook.Secret) {
	t.Helper()
	r := receive(t, httptest.NewServer, status(http.StatusNoContent))
	s := newMemory()
	id, current := s.endpoint(t, r.URL+"/hooks?a=b")
	old = webhook.NewSecret()
	sealed, err := old.Seal(sealing(t), id)
	must(t, err)
	s.edit(id, func(e *webhook.Endpoint) {
		e.OldSecret, e.OldEnds = sealed, time.Now().Add(-time.Second)
		if changing {
			e.OldEnds = time.Now().Add(time.Hour)
		}
	})
	d := s.emit(t, id)
	run(t, newManager(t, s, nil))
	eventually(t, "it is delivered", func() bool { return s.delivery(d).State == webhook.Delivered })
	req = r.requests()[0]
	if want := s.delivery(d); req.body != string(want.Payload) || req.header.Get("webhook-id") != want.EventID {
		t.Errorf("event %s came as %s: %s", want.EventID, req.header.Get("webhook-id"), req.body)
	}
	return req, current, old
}

func TestRequestIsAsStandardWebhooksHasIt(t *testing.T) {
	req, _, _ := deliverOne(t, true)
	if req.method != http.MethodPost || req.path != "/hooks?a=b" {
		t.Errorf("%s %s", req.method, req.path)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "wavegate", "Content-Length": fmt.Sprint(len(req.body)),
		"Accept-Encoding": "", "Cookie": "", "Authorization": "",
	} {
		if got := req.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if n := strings.Count(req.header.Get("webhook-signature"), "v1,"); n != 2 || strings.Count(req.header.Get("webhook-signature"), " ") != 1 {
		t.Errorf("%d signatures while secrets are changed: %s", n, req.header.Get("webhook-signature"))
	}
}

func TestSignaturesHoldForTheOfficialLibraries(t *testing.T) {
	verifiers := map[string]func(secret string, h http.Header, body string) error{
		"Go": func(secret string, h http.Header, body string) error {
			w, err := standardwebhooks.NewWebhook(secret)
			must(t, err)
			return w.Verify([]byte(body), h)
		},
		"npm": startNode(t),
	}
	for _, changing := range []bool{false, true} {
		req, current, old := deliverOne(t, changing)
		later := req.header.Clone()
		later.Set("webhook-timestamp", fmt.Sprint(time.Now().Unix()+1))
		for name, verify := range verifiers {
			for _, test := range []struct {
				what   string
				secret webhook.Secret
				header http.Header
				body   string
				ok     bool
			}{
				{"as sent", current, req.header, req.body, true},
				{"the secret before", old, req.header, req.body, changing},
				{"another secret", webhook.NewSecret(), req.header, req.body, false},
				{"another body", current, req.header, req.body + " ", false},
				{"another time", current, later, req.body, false},
			} {
				if err := verify(test.secret.Reveal(), test.header, test.body); (err == nil) != test.ok {
					t.Errorf("%s, %s, secrets changing %t: %v", name, test.what, changing, err)
				}
			}
		}
	}
}

// startNode starts the npm package standardwebhooks in a process of its own,
// which ends with the test, and returns what asks it.
func startNode(t *testing.T) func(secret string, h http.Header, body string) error {
	t.Helper()
	cmd := exec.Command(nodeWithPackage(t))
	folder, err := filepath.Abs(packageFolder)
	must(t, err)
	cmd.Args = append(cmd.Args, "testdata/standardwebhooks/verify.mjs", folder)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		must(t, cmd.Wait())
	})
	answers := bufio.NewScanner(out)
	return func(secret string, h http.Header, body string) error {
		headers := map[string]string{}
		for name := range h {
			headers[strings.ToLower(name)] = h.Get(name)
		}
		must(t, json.NewEncoder(in).Encode(map[string]any{"secret": secret, "headers": headers, "payload": body}))
		if !answers.Scan() {
			t.Fatalf("no answer from Node.js: %v", answers.Err())
		}
		if text := answers.Text(); text != "ok" {
			return fmt.Errorf("standardwebhooks: %s", text)
		}
		return nil
	}
}

const packageFolder = "../../.tools/standardwebhooks"

func nodeWithPackage(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "Node.js is missing: install the package nodejs")
	}
	if _, err := os.Stat(filepath.Join(packageFolder, "node_modules", "standardwebhooks")); err != nil {
		missing(t, "the npm package standardwebhooks is missing: install the packages nodejs and npm, then run `make deps`")
	}
	return node
}

func missing(t *testing.T, text string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}
