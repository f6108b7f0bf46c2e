package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// portalServer starts a server with a portal: ann and bob are developers, carl is an
// administrator, dora may do nothing with the API. Passwords are the names and
// "-password".
func portalServer(t *testing.T, change ...func(*Config)) *testServer {
	t.Helper()
	return startServer(t, portalConfig(t, change...))
}

func portalConfig(t *testing.T, change ...func(*Config)) Config {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(socketApp))
	t.Cleanup(app.Close)
	cfg := attackedConfig(t, app.URL, "")
	withPolicyText(t,
		"upstreams: [{route: /app, url: '"+app.URL+"'}, {route: /open, url: '"+app.URL+"', access: public}]",
		"scopes: {things:read: {endpoints: [GET /app]}}",
		"roles:",
		"  nobody: {members: []}",
		"  trial: {members: ['local|dora']}",
		"  developer: {scopes: [things:read], members: ['local|ann', 'local|bob']}",
	)(&cfg)
	var lines strings.Builder
	for _, name := range []string{"ann", "bob", "carl", "dora"} {
		lines.WriteString(keychainLine(t, name, name+"-password"))
	}
	writeFile(t, cfg.Users.Path, lines.String())
	cfg.Admins = append(cfg.Admins, "local|carl")
	cfg.Listen = freeAddress(t)
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// fields are what a browser would send of a page's form that goes to a path, but for
// boxes that are not ticked.
func (a answer) fields(t *testing.T, action string) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && attribute(n, "action") == action {
			return fieldsIn(n)
		}
	}
	t.Fatalf("%d: no form goes to %s: %.800s", a.StatusCode, action, a.body)
	return nil
}

func fieldsIn(form *html.Node) url.Values {
	fields := url.Values{}
	for n := range form.Descendants() {
		name, value := attribute(n, "name"), attribute(n, "value")
		switch {
		case name == "" || n.Type != html.ElementNode:
		case n.Data == "textarea" && n.FirstChild != nil:
			fields.Set(name, strings.TrimPrefix(n.FirstChild.Data, "\n"))
		case n.Data == "input" && slices.Contains([]string{"radio", "checkbox"}, attribute(n, "type")):
			if slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" }) {
				fields.Add(name, value)
			}
		case n.Data == "input":
			fields.Add(name, value)
		}
	}
	return fields
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// press sends a form of a page of this server.
func (b *browser) press(target string, form url.Values) answer {
	b.t.Helper()
	return b.send("POST", target, form, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
}

// to fails the test unless the answer leads to a path.
func (a answer) to(t *testing.T, target string) answer {
	t.Helper()
	if got := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther && a.StatusCode != http.StatusFound || got != target {
		t.Fatalf("%d to %q, want it to lead to %q: %.600s", a.StatusCode, got, target, a.body)
	}
	return a
}

// has fails the test unless the answer has the status and the words.
func (a answer) has(t *testing.T, status int, words ...string) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d: %.800s", a.StatusCode, status, a.body)
	}
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			t.Errorf("the page lacks %.200q", word)
		}
	}
	return a
}

// lacks fails the test if the answer has one of the words, in its body or header.
func (a answer) lacks(t *testing.T, words ...string) answer {
	t.Helper()
	for _, word := range words {
		if strings.Contains(a.body, word) {
			t.Errorf("the page has %.200q", word)
		}
		for name, values := range a.Header {
			if strings.Contains(strings.Join(values, "\n"), word) {
				t.Errorf("the header %s has %q", name, word)
			}
		}
	}
	return a
}
