package browsertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a step in the browser may take on a busy machine.
const patience = 30 * time.Second

// A Page is one tab of the browser.
type Page struct {
	Look Look
	ctx  context.Context
	url  string

	mu        sync.Mutex      // guards what follows
	problems  []string        // what the browser complained about
	documents map[string]bool // addresses of pages that this tab asked for
	requests  []string        // addresses of everything that it asked for
	prompts   int             // see CatchPrompts
}

// listen collects what the developer tools would show in red: console errors and
// warnings, exceptions, violations of the content security policy, resources that fail.
func (p *Page) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		own := e.Entry.Source == log.EntrySourceNetwork && p.isDocument(e.Entry.URL) // the error page's own status
		if (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) && !own {
			p.complain(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			p.complain(fmt.Sprintf("console.%s", e.Type))
		}
	case *runtime.EventExceptionThrown:
		p.complain(exception(e.ExceptionDetails))
	case *network.EventRequestWillBeSent:
		p.sent(e)
	case *fetch.EventRequestPaused:
		go p.letPass(e)
	case *fetch.EventAuthRequired:
		go p.prompted(e)
	}
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}

func (p *Page) complain(problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

// Problems returns what the browser complained about since the page was opened.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.problems...)
}

// look makes the browser's window and its wishes those of the look.
func (p *Page) look(t *testing.T, header map[string]string) {
	t.Helper()
	theme, scale := "light", 1.5
	if p.Look.Dark {
		theme = "dark"
	}
	if p.Look.Phone {
		scale = 2
	}
	headers := network.Headers{}
	for name, value := range header {
		headers[name] = value
	}
	_, err1 := chromedp.Call(p.ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
	_, err2 := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		},
	})
	_, err3 := chromedp.Call(p.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: p.Look.Width, Height: p.Look.Height, DeviceScaleFactor: scale, Mobile: p.Look.Phone,
	})
	_, err4 := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: p.Look.NoScript})
	var err5 error
	if p.Look.Agent != "" {
		_, err5 = chromedp.Call(p.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: p.Look.Agent})
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatalf("prepare the tab: %v", err)
	}
}

// do runs actions that return nothing, and gives up after half a minute.
func (p *Page) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", p.url, err)
	}
}

// Eval evaluates a JavaScript expression in the page, waits for it if it is a
// promise, and returns its value.
func Eval[T any](t *testing.T, p *Page, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", p.url, err)
	}
	return value
}

// WaitFor waits until the JavaScript expression is true, be it on the page that
// a link or a form leads to. It asks again and again: a page that is left for the
// browser's back button stands still and answers nothing.
func (p *Page) WaitFor(t *testing.T, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		met, err := p.ask(ctx, expression)
		if met {
			return
		}
		if err == nil || isPageLeft(err) {
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case <-time.After(10 * time.Millisecond):
				continue
			}
		}
		t.Fatalf("%s: %v while waiting for %s at %s", p.url, err, expression, p.whereabouts())
	}
}

// ask evaluates a condition once.
func (p *Page) ask(ctx context.Context, condition string) (bool, error) {
	once, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	met, err := chromedp.Run(once, chromedp.Evaluate[bool]("Boolean("+condition+")"))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return false, nil // asked of a page that was just left
	}
	return met, err
}

func isPageLeft(err error) bool {
	e, ok := errors.AsType[*cdproto.Error](err)
	return ok && e.Code == pageLeft
}

// pageLeft is what the browser answers about a page that was left meanwhile.
const pageLeft = -32000

// Click clicks what the CSS selector finds.
func (p *Page) Click(t *testing.T, selector string) {
	t.Helper()
	p.do(t, chromedp.Click(chromedp.CSS(selector)))
}

// Press presses the keys of a text one after the other, in whatever has the
// focus. Tab and Enter are "\t" and "\r".
func (p *Page) Press(t *testing.T, keys string) {
	t.Helper()
	p.do(t, chromedp.KeyEvent(keys))
}

// CheckFits fails the test if the page is wider than the window.
func (p *Page) CheckFits(t *testing.T) {
	t.Helper()
	wide := Eval[[]string](t, p, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return [];
		return [...document.querySelectorAll("body *")]
			.filter(e => e.getBoundingClientRect().right > width + 1)
			.map(e => e.tagName.toLowerCase() + "." + e.className);
	})()`)
	if len(wide) > 0 {
		t.Errorf("%s: the page scrolls sideways because of %s", p.Look.Name, strings.Join(wide, ", "))
	}
}

// A tabStop is what has the focus.
type tabStop struct {
	Text    string `json:"text"`    // what a screen reader would call it
	Outline bool   `json:"outline"` // the focus can be seen
	Body    bool   `json:"body"`    // nothing has it
}

// TabStops presses Tab from the top of the page until the focus leaves it, and
// returns the text of what was focused in between. It fails the test if a stop
// shows no outline.
func (p *Page) TabStops(t *testing.T) []string {
	t.Helper()
	var stops []string
	for range 100 {
		p.do(t, chromedp.KeyEvent(kb.Tab))
		stop := Eval[tabStop](t, p, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			return {text: e.getAttribute("aria-label") || (e.labels?.[0] ?? e).textContent.trim(), body: e === document.body,
				outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
		})()`)
		if stop.Body {
			return stops
		}
		if len(stops) > 0 && stop.Text == stops[0] {
			return stops // the focus went round
		}
		if !stop.Outline {
			t.Errorf("%s: %q shows no focus", p.Look.Name, stop.Text)
		}
		stops = append(stops, stop.Text)
	}
	t.Errorf("%s: the focus does not leave the page", p.Look.Name)
	return stops
}

// CheckAccessible runs axe-core and fails the test for every serious or
// critical finding. The file is named by WAVEGATE_AXE, or is .tools/axe.min.js
// in the project.
func (p *Page) CheckAccessible(t *testing.T) {
	t.Helper()
	path := cmp.Or(os.Getenv("WAVEGATE_AXE"), upwards(".tools/axe.min.js"))
	axe, err := os.ReadFile(path)
	if err != nil {
		Missing(t, "axe-core (.tools/axe.min.js, or the file named by WAVEGATE_AXE)", "make deps")
	}
	findings := Eval[[]string](t, p, string(axe)+`;axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations
		.filter(v => v.impact === "serious" || v.impact === "critical")
		.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`)
	for _, finding := range findings {
		t.Errorf("%s: %s", p.Look.Name, finding)
	}
}

// Screenshot keeps a picture of the whole page in the folder named by
// WAVEGATE_SCREENSHOTS, and does nothing where that is not set. The file is
// NAME-LOOK.png, and NAME.png for the first of Looks.
func (p *Page) Screenshot(t *testing.T, name string) {
	t.Helper()
	p.picture(t, name, chromedp.FullScreenshot(100))
}

// WindowScreenshot is Screenshot for what fits into the window.
func (p *Page) WindowScreenshot(t *testing.T, name string) {
	t.Helper()
	p.picture(t, name, chromedp.CaptureScreenshot())
}

func (p *Page) picture(t *testing.T, name string, take chromedp.Action[[]byte]) {
	t.Helper()
	dir := os.Getenv("WAVEGATE_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, take)
	if err != nil {
		t.Fatal(err)
	}
	if picture, err = smaller(picture); err != nil {
		t.Fatal(err)
	}
	if p.Look != Looks()[0] {
		name += "-" + p.Look.Name
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Check is what every page must pass in every look.
func (p *Page) Check(t *testing.T) {
	t.Helper()
	p.CheckFits(t)
	p.CheckAccessible(t)
	for _, problem := range p.Problems() {
		t.Errorf("%s: %s: the browser says: %s", p.url, p.Look.Name, problem)
	}
}
