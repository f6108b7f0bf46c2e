package browsertest

import (
	"context"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Show makes the tab look another way, as if the window were resized and the
// theme changed. The page is not loaded again.
func (p *Page) Show(t *testing.T, look Look) {
	t.Helper()
	p.Look = look
	p.look(t, nil)
}

// Scripted runs f while the browser runs scripts, also in a tab whose look says
// NoScript. What the page itself would have run is not caught up on.
func (p *Page) Scripted(t *testing.T, f func()) {
	t.Helper()
	set := func(off bool) {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off}); err != nil {
			t.Fatal(err)
		}
	}
	set(false)
	defer set(p.Look.NoScript)
	f()
}

// ClickOn clicks the element that a JavaScript expression returns, as soon as it
// returns one that can be seen.
func (p *Page) ClickOn(t *testing.T, expression string) {
	t.Helper()
	p.do(t, chromedp.Click(expression, chromedp.ByFunc(evaluated(expression))))
}

// DoubleClickOn is ClickOn for somebody who clicks twice, as on a computer's desktop.
func (p *Page) DoubleClickOn(t *testing.T, expression string) {
	t.Helper()
	p.do(t, chromedp.DoubleClick(expression, chromedp.ByFunc(evaluated(expression))))
}

// evaluated finds the element that an expression returns.
func evaluated(expression string) func(context.Context, *chromedp.Target, *chromedp.Node) ([]cdp.NodeID, error) {
	return func(ctx context.Context, tab *chromedp.Target, _ *chromedp.Node) ([]cdp.NodeID, error) {
		found, err := cdp.Call(ctx, tab, runtime.Evaluate, runtime.EvaluateParams{Expression: expression})
		if err != nil || found.Result == nil || found.Result.ObjectID == "" {
			return nil, err
		}
		node, err := cdp.Call(ctx, tab, dom.RequestNode, dom.RequestNodeParams{ObjectID: found.Result.ObjectID})
		return []cdp.NodeID{node.NodeID}, err
	}
}

// Insert puts a text into whatever has the focus in one piece, as pasting does.
func (p *Page) Insert(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		t.Fatalf("%s: %v", p.url, err)
	}
}

// Back presses the browser's back button, and waits until the tab shows another page
// or another address. A page that the browser kept whole loads nothing.
func (p *Page) Back(t *testing.T) {
	t.Helper()
	here := Eval[string](t, p, `performance.timeOrigin + location.href`)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tabs, err := chromedp.Call(ctx, page.GetNavigationHistory, cdp.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	if tabs.CurrentIndex == 0 {
		t.Fatalf("%s: there is nothing to go back to", p.url)
	}
	before := tabs.Entries[tabs.CurrentIndex-1].ID
	if _, err := chromedp.Call(ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: before}); err != nil {
		t.Fatal(err)
	}
	p.WaitFor(t, `performance.timeOrigin + location.href !== `+strconv.Quote(here))
}

// Reload loads the page again.
func (p *Page) Reload(t *testing.T) {
	t.Helper()
	p.do(t, chromedp.Reload())
}
