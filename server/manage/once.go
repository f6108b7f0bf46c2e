package manage

import (
	"crypto/rand"
	"net/http"
	"sync"

	"wavegate/server/portal"
)

// onceKept is how many forms are remembered that were sent.
const onceKept = 4096

// doneOnce remembers which forms were sent, so that one that is sent twice, by a
// double click or by the back button, is done once. It forgets the oldest first.
type doneOnce struct {
	mu   sync.Mutex
	sent map[string]struct{}
	ring []string // the same, in the order of their coming
	next int
}

// first reports whether a form comes for the first time. One without a mark always does.
func (o *doneOnce) first(mark string) bool {
	if mark == "" {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == nil {
		o.sent, o.ring = make(map[string]struct{}, onceKept), make([]string, onceKept)
	}
	if _, again := o.sent[mark]; again {
		return false
	}
	delete(o.sent, o.ring[o.next])
	o.sent[mark], o.ring[o.next] = struct{}{}, mark
	o.next = (o.next + 1) % onceKept
	return true
}

// forget lets a form be sent again that came to nothing.
func (o *doneOnce) forget(mark string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sent, mark)
}

// mark returns what the visit's form is remembered by, "" where it has no mark.
func (v *Visit) mark() string {
	if once := v.Form.Get(onceField); once != "" && len(once) <= 64 {
		return v.who.UserID + " " + once
	}
	return ""
}

// Act makes the call of a form, once: false says that the form was sent before, or
// is only to be shown. Whatever went wrong stands in the form then, unless it is an
// error of another kind, such as that there is no such thing.
func (v *Visit) Act(f *portal.Form, c Call, into any) (done bool, err error) {
	f.Curl = v.Curl(c)
	if !v.Acts() {
		return false, nil
	}
	if as := v.Form.Get(asField); as != "" && as != v.who.UserID {
		f.Problem = "This page was made for another account. Look at it once more, then send it."
		return false, nil
	}
	mark := v.mark()
	if !v.desk.done.first(mark) {
		f.Problem = "This form was sent twice. It was done once, the first time: have a look at the list before you send another one."
		f.Once = newMark()
		return false, nil
	}
	if err := v.Do(c, into); err != nil {
		v.desk.done.forget(mark)
		return false, v.blame(f, err)
	}
	v.outdate()
	return true, nil
}

// ActCookie is a cookie that is another one after everything that somebody did. It
// means nothing to the server.
const ActCookie = "wavegate-act"

// outdate makes the browser forget the pages that it keeps whole for its back button:
// they show what was there before. Chromium keeps also those that are not to be
// stored, until a cookie of theirs changes. The script of the pages asks for them anew;
// this is for browsers without scripts.
func (v *Visit) outdate() {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // Secure where the browser came by https
		Name: ActCookie, Value: newMark(), Path: v.desk.cfg.Base, HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteStrictMode,
	})
}

// NewForm returns the form of a page, with what was sent in it, or else with values.
func (v *Visit) NewForm(action string, values map[string][]string) portal.Form {
	f := portal.Form{Action: v.desk.cfg.Base + action, Once: newMark(), As: v.who.UserID, Values: values}
	if v.Form != nil {
		f.Values = v.Form
		if once := v.Form.Get(onceField); once != "" {
			f.Once = once
		}
		f.Version = v.Form.Get(versionField)
	}
	return f
}

func newMark() string { return rand.Text() }
