package browsertest

import (
	"context"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// sent notes a request of the tab.
func (p *Page) sent(e *network.EventRequestWillBeSent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, e.Request.URL)
	if e.Type == network.ResourceTypeDocument {
		p.documents[e.Request.URL] = true
	}
}

func (p *Page) isDocument(url string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.documents[url]
}

// Requests returns the addresses of everything that the tab asked for, in that
// order, redirects included.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Navigate opens another address in the tab, as if it were typed.
func (p *Page) Navigate(t *testing.T, url string) {
	t.Helper()
	p.do(t, chromedp.Navigate(url))
}

// whereabouts says which page the tab shows, for the texts of failures.
func (p *Page) whereabouts() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	what, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + ": " + document.title + ": " + document.body.innerText.slice(0, 500)`))
	if err != nil {
		return "a page that cannot be asked: " + err.Error()
	}
	return what
}

// Cookies returns the names and values of the cookies that would go to url,
// those that scripts cannot see included.
func (p *Page) Cookies(t *testing.T, url string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	found, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	cookies := map[string]string{}
	for _, c := range found.Cookies {
		cookies[c.Name] = c.Value
	}
	return cookies
}

// DropCookie takes a cookie of url out of the browser.
func (p *Page) DropCookie(t *testing.T, url, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, network.DeleteCookies, network.DeleteCookiesParams{Name: name, URL: url}); err != nil {
		t.Fatal(err)
	}
}

// CatchPrompts counts from now on where the browser would open a window of its
// own that asks for a name and a password. The window is closed unseen.
func (p *Page) CatchPrompts(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	yes := true
	if _, err := chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &yes}); err != nil {
		t.Fatal(err)
	}
}

// Prompts is how many there were since CatchPrompts.
func (p *Page) Prompts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prompts
}

// letPass lets a request go on that CatchPrompts holds. It fails only where the
// tab was closed or has left the page.
func (p *Page) letPass(e *fetch.EventRequestPaused) {
	_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
}

func (p *Page) prompted(e *fetch.EventAuthRequired) {
	p.mu.Lock()
	p.prompts++
	p.mu.Unlock()
	_, _ = chromedp.Call(p.ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{
		RequestID: e.RequestID, AuthChallengeResponse: &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseCancelAuth},
	})
}
