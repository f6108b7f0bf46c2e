package manage

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/portal"
)

// DraftCookie is the cookie in which a form waits while its sender signs in. It is
// nobody else's business, and no app's.
const DraftCookie = "wavegate-draft"

const (
	draftKind  = "portal draft"
	draftFor   = time.Hour // how long what was typed waits for somebody to sign in
	maxDraft   = 3500      // of a cookie, in bytes: browsers and proxies keep 4 KB
	resumePath = "resume"
	draftLost  = "draft-lost" // word of portal.NoteOf
)

// A draft is a form that was sent when its sender had to sign in first.
type draft struct {
	Path string     `json:"p"` // below the portal
	As   string     `json:"a"` // the user whom the form was made for
	Form url.Values `json:"f"`
	At   int64      `json:"t"` // seconds since the epoch
}

// signInFirst leads to the login page and back. What was typed waits in a cookie
// of the browser, sealed, and is shown again to the same person.
func (v *Visit) signInFirst() error {
	if v.r.Method != http.MethodPost {
		next := url.URL{Path: v.desk.cfg.Base + v.path, RawQuery: v.r.URL.RawQuery}
		if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
			next = url.URL{Path: v.desk.cfg.Base}
		}
		if text, err := url.QueryUnescape(next.RequestURI()); err != nil || apikey.Holds(text) {
			next = url.URL{Path: v.desk.cfg.Base} // no address is a place for a key
		}
		return v.toLogin(next.RequestURI(), false)
	}
	if v.Form == nil {
		if err := v.readForm(); err != nil {
			return err
		}
	}
	return v.toLoginWithForm(false)
}

// signInAgain has somebody who is signed in sign in once more, before something
// dangerous is done.
func (v *Visit) signInAgain() error { return v.toLoginWithForm(true) }

func (v *Visit) toLoginWithForm(again bool) error {
	if v.Form == nil {
		return v.toLogin(v.desk.cfg.Base+v.path, again)
	}
	if v.keep() {
		return v.toLogin(v.desk.cfg.Base+resumePath, again)
	}
	return v.holdOn(again)
}

func (v *Visit) toLogin(next string, again bool) error {
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.Header().Set("Location", v.desk.cfg.SignIn(next, again))
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// holdOn is for a form that is too long for a cookie: a page holds it, the login
// happens in another tab.
func (v *Visit) holdOn(again bool) error {
	view := portal.HoldOnPage{
		Action: v.desk.cfg.Base + v.path, SignIn: v.desk.cfg.SignIn(v.desk.cfg.Base, again), Fields: kept(v.Form),
	}
	var body bytes.Buffer
	pages := v.desk.cfg.Pages()
	if err := pages.HoldOn(&body, view); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pages.CSP())
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	v.w.WriteHeader(http.StatusUnauthorized)
	_, _ = v.w.Write(body.Bytes()) // an error means that the browser is gone
	return nil
}

// kept is a form without what nobody keeps: passwords.
func kept(form url.Values) url.Values {
	out := url.Values{}
	for name, values := range form {
		if !strings.Contains(name, "password") && name != previewField {
			out[name] = values
		}
	}
	return out
}

// keep puts the form into a cookie, if it fits.
func (v *Visit) keep() bool {
	form := kept(v.Form)
	plain, err := json.Marshal(draft{v.path, form.Get(asField), form, v.now.Unix()})
	if err != nil {
		return false
	}
	var small bytes.Buffer
	z, _ := flate.NewWriter(&small, flate.BestCompression) // the level is a valid one
	_, _ = z.Write(plain)                                  // into memory
	_ = z.Close()
	sealed, err := v.desk.cfg.Drafts.Seal(draftKind, "", small.Bytes())
	if err != nil {
		return false
	}
	value := base64.RawURLEncoding.EncodeToString(sealed)
	if len(value) > maxDraft {
		return false
	}
	v.setDraft(value, int(draftFor/time.Second))
	return true
}

func (v *Visit) setDraft(value string, age int) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // Secure where the browser came by https
		Name: DraftCookie, Value: value, Path: v.desk.cfg.Base, MaxAge: age, HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteLaxMode,
	})
}

// secure reports whether cookies are for https alone.
func (v *Visit) secure() bool {
	return v.r.TLS != nil || v.who != nil && v.who.Secure || strings.HasPrefix(v.desk.cfg.Origin(v.r), "https:")
}

// openDraft returns what waits in the browser's cookie, and whether that is for the
// visitor.
func (v *Visit) openDraft() (d draft, ok bool) {
	cookie, err := v.r.Cookie(DraftCookie)
	if err != nil {
		return d, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return d, false
	}
	small, err := v.desk.cfg.Drafts.Open(draftKind, "", sealed)
	if err != nil {
		return d, false
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(small)), 2*maxForm))
	if err != nil || json.Unmarshal(plain, &d) != nil {
		return draft{}, false
	}
	return d, d.As == v.who.UserID && v.now.Sub(time.Unix(d.At, 0)) < draftFor
}

// resume shows a form again that was sent before its sender signed in. Nothing of
// it was done; they send it once more.
func (d *Desk) resume(v *Visit) error {
	kept, ok := v.openDraft()
	v.setDraft("", -1)
	if !ok {
		return v.Go("", draftLost)
	}
	v.Form, v.showing, v.resumed = kept.Form, true, true
	v.Form.Del(onceField) // the form gets a new one
	v.r.URL.RawQuery = ""
	return d.dispatch(v, http.MethodPost, kept.Path)
}
