package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A person is a browser with its cookies, for which the processes of a site are
// the one address gate.test.
type person struct {
	t   *testing.T
	jar *cookiejar.Jar
}

func newPerson(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &person{t, jar}
}

// A reply is an answer whose body was read as far as it came.
type reply struct {
	*http.Response
	body string
}

// try sends a request to a process. A nil form is a request for a page.
func (p *person) try(g *gate, method, target string, form url.Values, headers ...string) (reply, error) {
	if form != nil {
		headers = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)
	}
	return p.tryBody(g, method, target, form.Encode(), headers...)
}

// tryBody is try with any body.
func (p *person) tryBody(g *gate, method, target, body string, headers ...string) (reply, error) {
	if strings.HasPrefix(target, "/") {
		target = "http://gate.test" + target
	}
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "cors")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{
		Jar: p.jar, Transport: g.transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body) // cut short when the process is killed
	return reply{res, string(text)}, nil
}

// send is try for a request that must be answered, with this status.
func (p *person) send(g *gate, status int, method, target string, form url.Values, headers ...string) reply {
	p.t.Helper()
	a, err := p.try(g, method, target, form, headers...)
	must(p.t, err)
	if a.StatusCode != status {
		p.t.Fatalf("%s %s: %d %s\nwant %d; log:\n%s", method, target, a.StatusCode, a.body, status, g.Log)
	}
	return a
}

// signIn fills in the form with the password of a user's first day.
func (p *person) signIn(g *gate, name string) {
	p.t.Helper()
	p.signInWith(g, name, name+"-password")
}

func (p *person) signInWith(g *gate, name, password string) {
	p.t.Helper()
	p.send(g, http.StatusSeeOther, "POST", "/_auth/login", url.Values{"username": {name}, "password": {password}})
}

// signInAtProvider begins at one process and comes back to another.
func (p *person) signInAtProvider(begin, end *gate) {
	p.t.Helper()
	to := p.send(begin, http.StatusFound, "GET", "/_auth/init?next=/here", nil).Header.Get("Location")
	back := p.send(begin, http.StatusSeeOther, "GET", to, nil).Header.Get("Location")
	a := p.send(end, http.StatusSeeOther, "GET", back, nil)
	if got := a.Header.Get("Location"); got != "/here" {
		p.t.Fatalf("the login ended at %q, want /here", got)
	}
}

// passes reports whether the app is open to the person.
func (p *person) passes(g *gate) bool {
	p.t.Helper()
	a, err := p.try(g, "GET", "/app", nil)
	must(p.t, err)
	if a.StatusCode != http.StatusOK && a.StatusCode != http.StatusUnauthorized {
		p.t.Fatalf("%d %s\n%s", a.StatusCode, a.body, g.Log)
	}
	return a.StatusCode == http.StatusOK
}

// isIn fails the test unless the person is known as name at every process.
func (p *person) isIn(name string, gates ...*gate) {
	p.t.Helper()
	for _, g := range gates {
		if a := p.send(g, http.StatusOK, "GET", "/app", nil); a.body != name {
			p.t.Fatalf("the app was told %q, want %q", a.body, name)
		}
	}
}

// untilOut asks again and again until the process lets the person in no more,
// and returns how long after since that was.
func (p *person) untilOut(g *gate, since time.Time) time.Duration {
	p.t.Helper()
	for p.passes(g) {
		if time.Since(since) > patience {
			p.t.Fatalf("still signed in after %v", patience)
		}
	}
	return time.Since(since)
}

// socket opens a WebSocket through the process. The context ends when it is closed.
func (p *person) socket(g *gate) context.Context {
	p.t.Helper()
	c, _, err := websocket.Dial(p.t.Context(), "ws://gate.test/socket", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: g.transport}, HTTPHeader: http.Header{"Cookie": {"wavegate=" + p.cookie()}},
	})
	must(p.t, err)
	p.t.Cleanup(func() { c.CloseNow() })
	return c.CloseRead(p.t.Context())
}

// cookie returns the value of the session's cookie, or "".
func (p *person) cookie() string {
	for _, c := range p.jar.Cookies(&url.URL{Scheme: "http", Host: "gate.test", Path: "/"}) {
		if c.Name == "wavegate" {
			return c.Value
		}
	}
	return ""
}

// session returns the public name of the person's session, and of the user.
func (p *person) session(g *gate) (id, user string) {
	p.t.Helper()
	var info struct {
		SessionID string `json:"session_id"`
	}
	must(p.t, json.Unmarshal([]byte(p.send(g, http.StatusOK, "GET", "/_auth/userinfo", nil).body), &info))
	var list struct {
		Sessions []struct {
			ID     string `json:"id"`
			UserID string `json:"user_id"`
		} `json:"sessions"`
	}
	must(p.t, json.Unmarshal([]byte(p.send(g, http.StatusOK, "GET", "/v1/auth/sessions", nil).body), &list))
	for _, l := range list.Sessions {
		if l.ID == info.SessionID {
			return l.ID, l.UserID
		}
	}
	p.t.Fatalf("session %q is not in the list", info.SessionID)
	return "", ""
}

// byAdministrator sends a request with the access key, as a program does.
func byAdministrator(g *gate, method, path, body string) {
	g.t.Helper()
	req, err := http.NewRequest(method, "http://gate.test"+path, strings.NewReader(body))
	must(g.t, err)
	req.SetBasicAuth("id", "secret")
	res, err := (&http.Client{Transport: g.transport, Timeout: patience}).Do(req)
	must(g.t, err)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode/100 != 2 {
		g.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
}
