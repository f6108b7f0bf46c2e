package oidctest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A Browser follows redirects and fills in the providers' forms as a person
// would, cookies included. It runs no scripts.
type Browser struct {
	client *http.Client
	stop   string // an address that starts with this is not fetched
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := trusting()
	t.Cleanup(transport.CloseIdleConnections)
	b := &Browser{client: &http.Client{Jar: jar, Transport: transport}}
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), b.stop) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return b
}

// trusting returns a transport that takes the certificates of test servers.
func trusting() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

const maxSteps = 10 // pages of one sign-in or sign-out

// Visit opens start, fills in what is asked for (username, any password) and
// presses buttons until it is sent to an address that begins with stop, and
// returns that address.
func (b *Browser) Visit(ctx context.Context, start, stop, username string) (*url.URL, error) {
	b.stop = stop
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, start, http.NoBody)
	if err != nil {
		return nil, err
	}
	for range maxSteps {
		resp, err := b.client.Do(req)
		if err != nil {
			return nil, err
		}
		page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			return resp.Location()
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s answers %s: %s", resp.Request.URL, resp.Status, page)
		}
		if req, err = submit(ctx, resp.Request.URL, string(page), username); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("not at %s after %d pages", stop, maxSteps)
}

// The forms of the providers here are plain enough for these.
var (
	formTag   = regexp.MustCompile(`(?is)<form[^>]*\saction="([^"]*)"`)
	inputTag  = regexp.MustCompile(`(?is)<(?:input|button)\b[^>]*>`)
	attribute = regexp.MustCompile(`(?is)\s(name|value)="([^"]*)"`)
)

// submit returns the request that the first form of a page makes.
func submit(ctx context.Context, at *url.URL, page, username string) (*http.Request, error) {
	form := formTag.FindStringSubmatch(page)
	if form == nil {
		return nil, fmt.Errorf("%s: a page without a form: %s", at, page)
	}
	to, err := at.Parse(strings.ReplaceAll(form[1], "&amp;", "&"))
	if err != nil {
		return nil, err
	}
	values := url.Values{}
	for _, tag := range inputTag.FindAllString(page, -1) {
		attributes := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			attributes[m[1]] = m[2]
		}
		if name := attributes["name"]; name != "" {
			values.Set(name, attributes["value"])
		}
	}
	if values.Has("username") {
		values.Set("username", username)
		values.Set("password", "any")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}
