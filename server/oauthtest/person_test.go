package oauthtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// A person sits before a browser that runs no scripts, and agrees to everything.
type person struct {
	name, password string
	client         *http.Client
	stop           string   // an address that begins with this is not fetched; "" for none
	seen           []string // titles of the pages that were shown
}

func newPerson(t *testing.T, name, password string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p := &person{name: name, password: password, client: &http.Client{Jar: jar, Transport: transport, Timeout: patience}}
	p.client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if p.stop != "" && strings.HasPrefix(r.URL.String(), p.stop) || len(via) > 20 {
			return http.ErrUseLastResponse
		}
		r.Header.Del("Origin")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		return nil
	}
	return p
}

// browse opens an address, signs in, types the code and presses the button of every
// page, until the browser is sent to an address that begins with stop or a page
// asks nothing any more. It returns that address, and the last page.
func (p *person) browse(ctx context.Context, start, stop, code string) (at *url.URL, page string, err error) {
	p.stop = stop
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, start, http.NoBody)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	const most = 10 // pages that one errand may have
	for range most {
		resp, text, err := p.open(req)
		if err != nil {
			return nil, "", err
		}
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			at, err = resp.Location()
			return at, text, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, "", fmt.Errorf("%s answers %s: %s", resp.Request.URL, resp.Status, words(text))
		}
		f, err := p.read(text)
		if err != nil {
			return nil, "", err
		}
		if f == nil {
			return resp.Request.URL, text, nil
		}
		if req, err = p.submit(ctx, resp.Request.URL, f, code); err != nil {
			return nil, "", err
		}
	}
	return nil, "", fmt.Errorf("not at %s after %d pages: %q", stop, most, p.seen)
}

// open sends a request as a browser does that shows the answer.
func (p *person) open(req *http.Request) (*http.Response, string, error) {
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp, string(text), err
}

// words returns the text of a page without its markup.
func words(page string) string {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return page
	}
	var all []string
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			all = append(all, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(all, " ")
}

// A form is one that posts: its fields, and the button that agrees.
type form struct {
	action string
	fields url.Values
}

// read returns the first form of a page that posts, nil if there is none.
func (p *person) read(page string) (*form, error) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil, err
	}
	var found *html.Node
	for n := range root.Descendants() {
		switch {
		case n.Data == "title" && n.FirstChild != nil:
			p.seen = append(p.seen, n.FirstChild.Data)
		case n.Data == "form" && strings.EqualFold(attribute(n, "method"), "post") && found == nil:
			found = n
		}
	}
	if found == nil {
		return nil, nil
	}
	f := &form{action: attribute(found, "action"), fields: url.Values{}}
	for n := range root.Descendants() {
		if belongs(n, found) {
			f.fill(n)
		}
	}
	return f, nil
}

// belongs reports whether n is below the form, or says that it is part of it.
func belongs(n, of *html.Node) bool {
	id := attribute(of, "id")
	return id != "" && attribute(n, "form") == id || slices.Contains(slices.Collect(n.Ancestors()), of)
}

// fill takes a field or a button of a page over. Of several buttons with one name
// the one that agrees is pressed.
func (f *form) fill(n *html.Node) {
	name, value := attribute(n, "name"), attribute(n, "value")
	if name == "" || n.Data != "input" && n.Data != "button" {
		return
	}
	if name == "decision" {
		value = "allow"
	}
	f.fields.Set(name, value)
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// submit returns the request that a form makes.
func (p *person) submit(ctx context.Context, at *url.URL, f *form, code string) (*http.Request, error) {
	if f.fields.Has("username") {
		f.fields.Set("username", p.name)
		f.fields.Set("password", p.password)
	}
	if f.fields.Has("user_code") && f.fields.Get("user_code") == "" {
		f.fields.Set("user_code", code)
	}
	to, err := at.Parse(f.action)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(f.fields.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", at.Scheme+"://"+at.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return req, nil
}

// fetch sends a request and reads the JSON that is answered, if into is not nil.
func fetch(t *testing.T, req *http.Request, into any) (status int) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if into == nil {
		return resp.StatusCode
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s %s: %s, %v: %s", req.Method, req.URL, resp.Status, err, text)
	}
	return resp.StatusCode
}
