package server

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/portal"
	"wavegate/server/store"
)

// The pages on which a person lets in a device that has no browser of its own (RFC
// 8628, section 3.3).

// devicePage asks for the code that the device shows. A code that came with the
// link is filled in, and still has to be confirmed.
func (s *Server) devicePage(ex *exchange, r *http.Request) error {
	p, err := s.visitor(ex, r)
	if err != nil {
		return err
	}
	code := authz.UserCode(r.URL.Query().Get("user_code"))
	if p == nil {
		return s.deviceLogin(ex, code)
	}
	return s.showDevice(ex, r, http.StatusOK, p, shownCode(code), "")
}

// deviceLogin leads to the login page, and back with the code.
func (s *Server) deviceLogin(ex *exchange, code string) error {
	redirect(ex, http.StatusSeeOther, s.withNext(loginPath, s.deviceAt(code)))
	return nil
}

// deviceAt is the page with a code filled in, which may be "".
func (s *Server) deviceAt(code string) string {
	if code == "" {
		return s.ownPathOf(devicePath)
	}
	return s.ownPathOf(devicePath) + "?user_code=" + code
}

func (s *Server) showDevice(ex *exchange, r *http.Request, status int, p *visitor, code, problem string) error {
	view := portal.DevicePage{Action: s.ownPathOf(deviceCodePath), Code: code, Error: problem, Account: p.who.Username}
	return s.page(ex, r, status, func(w io.Writer) error { return s.look().Device(w, view) })
}

// shownCode is a user code as people read it.
func shownCode(code string) string {
	if len(code) != 8 {
		return ""
	}
	return code[:4] + "-" + code[4:]
}

// deviceForm reads a form of these pages. The visitor is nil where nobody is signed
// in any more.
func (s *Server) deviceForm(ex *exchange, r *http.Request) (*visitor, url.Values, error) {
	form, err := readApproval(ex, r)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.visitor(ex, r)
	return p, form, err
}

// deviceCode takes the code and asks whether the device may act for the person.
// Wrong codes are counted like wrong passwords, so that nobody finds one by trying.
func (s *Server) deviceCode(ex *exchange, r *http.Request) error {
	p, form, err := s.deviceForm(ex, r)
	if err != nil {
		return err
	}
	typed := form.Get("user_code")
	if p == nil {
		return s.deviceLogin(ex, authz.UserCode(typed))
	}
	account := "device-code:" + p.sess.UserID
	if wait := s.lockouts.Check(ex.start, ex.ClientIP, account); wait > 0 {
		return errLockedOut.RetryAfter(wait)
	}
	req, err := s.oauth.DeviceRequest(ex.ctx, typed)
	if errors.Is(err, authz.ErrNotFound) {
		s.countWrong(ex, "device-code", account, true)
		return s.showDevice(ex, r, http.StatusUnprocessableEntity, p, clip(typed), "There is no such code, or it has expired. Compare it with what your device shows.")
	}
	if err != nil {
		return s.authorizeFail(ex, r, err)
	}
	return s.askDevice(ex, r, p, req)
}

func (s *Server) askDevice(ex *exchange, r *http.Request, p *visitor, req *authz.DeviceRequest) error {
	scopes := s.oauth.Grantable(&req.Request, p.person)
	sealed, err := s.oauth.sealForm(deviceKind, p, url.Values{
		shownAt: {strconv.FormatInt(ex.start.UnixMilli(), 10)}, shownScopes: {strings.Join(scopes, " ")}, shownUserCode: {req.Device.UserCode}, shownDevice: {hex.EncodeToString(req.Device.Hash[:])},
	})
	if err != nil {
		return err
	}
	view := portal.ConsentPage{
		App: req.Client.Name, AppURI: req.Client.URI, Account: p.who.Username,
		SwitchURL: s.withNext(loginPath, s.deviceAt(req.Device.UserCode), "switch", "1"),
		Scopes:    s.describe(scopes), Resources: req.Resources,
		Action: s.ownPathOf(deviceAllowPath), Request: sealed, Registered: req.Client.CreatedAt,
		Device: &portal.ConsentDevice{Code: shownCode(req.Device.UserCode), From: req.Device.Source, Since: req.Device.CreatedAt},
	}
	return s.page(ex, r, http.StatusOK, func(w io.Writer) error { return s.look().Consent(w, view) })
}

// deviceKind is what the forms of these pages are sealed as.
const deviceKind = "wavegate device"

// decideDevice takes what the person said.
func (s *Server) decideDevice(ex *exchange, r *http.Request) error {
	p, form, err := s.deviceForm(ex, r)
	if err != nil {
		return err
	}
	decision := form.Get("decision")
	shown, _ := s.oauth.openForm(deviceKind, form.Get("request"))
	req, err := s.shownDevice(ex.ctx, shown)
	if l := lapseOf(shown, p, ex.start); l != nil && (err == nil || shown == nil) {
		return s.lapsed(ex, r, l, s.deviceAgain(req))
	}
	if err == nil {
		err = s.settleDevice(ex, p, req, shown, decision)
	}
	switch {
	case errors.Is(err, authz.ErrNotFound), errors.Is(err, authz.ErrUsed), errors.Is(err, authz.ErrEnded):
		return s.lapsed(ex, r, lapsedCode, again{url: s.deviceAt(""), label: "Enter another code"})
	case err != nil:
		return s.authorizeFail(ex, r, err)
	}
	view := portal.DeviceDonePage{App: req.Client.Name, Allowed: decision == "allow"}
	return s.page(ex, r, http.StatusOK, func(w io.Writer) error { return s.look().DeviceDone(w, view) })
}

// shownDevice returns the device that a page was about.
func (s *Server) shownDevice(ctx context.Context, shown url.Values) (*authz.DeviceRequest, error) {
	req, err := s.oauth.DeviceRequest(ctx, shown.Get(shownUserCode))
	if err == nil && hex.EncodeToString(req.Device.Hash[:]) != shown.Get(shownDevice) {
		return nil, authz.ErrNotFound // the code is another device's by now
	}
	return req, err
}

func (s *Server) settleDevice(ex *exchange, p *visitor, req *authz.DeviceRequest, shown url.Values, decision string) error {
	scopes := onlyShown(s.oauth.Grantable(&req.Request, p.person), shown)
	d := deed{"grant.create", req.Client.ID, p.who.Owner, map[string]string{"scopes": strings.Join(scopes, " "), "device": req.Device.Source}}
	switch decision {
	case "deny":
		d.action, d.details = "grant.deny", map[string]string{"device": req.Device.Source}
		return s.oauth.DenyDevice(s.deedOf(ex, p, d), req)
	case "allow":
		return s.oauth.ApproveDevice(s.deedOf(ex, p, d), req, authz.Approval{
			Who: p.person, Scopes: scopes, AuthTime: p.sess.CreatedAt, SID: s.sidFor(p.sess.ID, req.Client.ID),
		})
	}
	return fault.New(http.StatusBadRequest, "invalid_request", "The form does not say what was decided.")
}

// deedOf is the context of a change that a person makes on one of these pages.
func (s *Server) deedOf(ex *exchange, p *visitor, d deed) context.Context {
	return store.WithJournal(ex.ctx, s.journal(ex, &apiCaller{who: p.who, owner: p.who.Owner}, d))
}
