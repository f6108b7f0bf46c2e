package server

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/audit"
)

// A systemView is the server as administrators see it.
type systemView struct {
	Version   string  `json:"version"`
	Go        string  `json:"go"`
	StartedAt string  `json:"started_at"`
	Time      string  `json:"time"`
	Address   *string `json:"address"` // --public-url; null: it follows from each request
	Store     string  `json:"store"`   // the kind
	Parts     []part  `json:"parts"`
}

// getSystem shows administrators how each part of the server is. It can be asked
// every few seconds: it waits for the store no longer than partTime, reads a bounded
// number of rows, and asks nobody else.
func (s *Server) getSystem(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ex.ctx, partTime)
	defer cancel()
	return writeJSON(ex, http.StatusOK, systemView{
		Version: s.cfg.Version, Go: runtime.Version(), StartedAt: rfc3339(s.started), Time: rfc3339(ex.start),
		Address: orNull(s.cfg.PublicURL), Store: s.store.Kind(), Parts: s.parts(ctx, ex.start),
	})
}

// parts are all parts of the server; those that readiness looks at come first.
func (s *Server) parts(ctx context.Context, now time.Time) []part {
	parts := append(s.vitals(ctx), s.issuerParts()...)
	return append(parts,
		s.policyPart(), s.certificatePart(now), s.headersPart(), s.apiKeysPart(), s.sessionsPart(), s.usersPart(),
		s.webhooksPart(ctx), s.auditPart(ctx), s.oauthPart(ctx),
	)
}

// issuerParts are the issuers whose tokens are taken.
func (s *Server) issuerParts() []part {
	var parts []part
	for _, rule := range s.state.Load().policy.Issuers() {
		p := part{Name: "issuer " + rule.Name, Status: partOK, Message: "Tokens of " + rule.Issuer + " are taken."}
		if is := s.issuers.Load().byName[rule.Issuer]; is != nil && is.Status() != nil {
			p.Status = partWarning
			p.Message = "The keys of " + rule.Issuer + " cannot be had, so its tokens are not taken unless they are known: the log says why."
		}
		parts = append(parts, p)
	}
	return parts
}

func (s *Server) policyPart() part {
	st := s.state.Load()
	p := part{Name: "policy", Status: partOK, Message: "The policy is in force.", Details: map[string]any{"loaded_at": rfc3339(st.loadedAt), "routes": len(st.policy.Routes()), "apps": len(s.gateway.Apps().List())}}
	if s.cfg.PolicyFile == "" && s.demo != nil {
		p.Message = "The demo’s own policy is in force. Yours would be a file that --policy names."
	} else if s.cfg.PolicyFile == "" {
		p.Status, p.Message = partOff, "There is no policy file: the routes of the flags are open to every credential. Name a file with --policy."
	}
	return s.reloaded(p, "policy")
}

// certificateWarning is how long before its end a certificate is worth a warning.
const certificateWarning = 14 * 24 * time.Hour

func (s *Server) certificatePart(now time.Time) part {
	if s.tls == nil {
		return part{Name: "certificate", Status: partOff, Message: "This server speaks plain HTTP: whoever stands before it ends TLS."}
	}
	end := s.tls.NotAfter()
	p := part{Name: "certificate", Status: partOK, Message: "The certificate is valid.", Details: map[string]any{"ends_at": orNull(rfc3339(end))}}
	switch left := end.Sub(now); {
	case end.IsZero():
		p.Status, p.Message = partWarning, "There is no certificate yet: the log says how far getting one is."
	case left <= 0:
		p.Status, p.Message = partFailed, "The certificate has expired, and browsers refuse it: renew it."
	case left < certificateWarning:
		p.Status, p.Message = partWarning, "The certificate ends in less than 14 days: renew it, or see in the log why that did not happen by itself."
	}
	if warnings := s.tls.Warnings(); len(warnings) > 0 {
		p.Details["warnings"] = warnings
	}
	return s.reloaded(p, "tls")
}

func (s *Server) headersPart() part {
	p := part{Name: "headers", Status: partOK, Message: "Every answer has the headers of the file."}
	if s.cfg.HeadersFile == "" {
		p.Status, p.Message = partOff, "No file of extra headers is named."
	}
	return s.reloaded(p, "headers")
}

func (s *Server) apiKeysPart() part {
	return part{
		Name: "api keys", Status: partOK, Message: "API keys that are used are kept in memory.",
		Details: map[string]any{"remembered": s.apiKeys.Remembered()},
	}
}

func (s *Server) sessionsPart() part {
	if s.signIn == nil {
		return part{Name: "sessions", Status: partOff, Message: "Nobody can sign in: there is neither a provider nor a users file."}
	}
	n, bytes := s.signIn.sessions.Remembered()
	return part{
		Name: "sessions", Status: partOK, Message: "Sessions that are used are kept in memory.",
		Details: map[string]any{"remembered": n, "bytes": bytes},
	}
}

func (s *Server) usersPart() part {
	if s.signIn == nil || s.signIn.users.Len() == 0 {
		return s.reloaded(part{Name: "users", Status: partOff, Message: "There are no local users."}, "users")
	}
	n := s.signIn.users.Len()
	return s.reloaded(part{
		Name: "users", Status: partOK, Message: counted(n, "local user signs", "local users sign") + " in with a password.",
		Details: map[string]any{"users": n},
	}, "users")
}

// mostCounted bounds how many deliveries are counted.
const mostCounted = 1000

func (s *Server) webhooksPart(ctx context.Context) part {
	p := part{Name: "webhooks", Status: partOK, Message: "Events are delivered."}
	waiting, dead, err := s.store.DeliveryCounts(ctx, mostCounted)
	if err != nil {
		p.Status, p.Message = partWarning, "How many deliveries wait is not known, since the store cannot be read."
		return p
	}
	p.Details = map[string]any{"waiting": waiting, "dead": dead, "counted_up_to": mostCounted}
	switch {
	case waiting == mostCounted:
		p.Status, p.Message = partWarning, "Many deliveries wait: a receiver does not answer, or more happens than can be delivered. See the deliveries of each webhook."
	case dead > 0:
		p.Status, p.Message = partWarning, "Some of the last deliveries were given up: see the deliveries of each webhook, mend the receiver, and redeliver them."
	}
	return p
}

func (s *Server) auditPart(ctx context.Context) part {
	p := part{Name: "audit", Status: partOK, Message: "Changes and refusals are written to the audit log.", Details: map[string]any{"waiting": len(s.notes)}}
	_, last, err := s.store.AuditAnchor(ctx)
	switch {
	case errors.Is(err, audit.ErrChanged), errors.Is(err, audit.ErrUnknownSecret):
		p.Status, p.Message = partFailed, "The audit log is not what was written, or was written under another secret: GET /v1/auth/audit/verify says more."
	case err != nil:
		p.Status, p.Message = partWarning, "The audit log cannot be read, since the store cannot."
	case len(s.notes) > maxNotes/2:
		p.Status, p.Message = partWarning, "Many entries wait to be written: the store is slower than what happens. See to the database."
	}
	if err == nil {
		p.Details["last"] = last
	}
	return p
}

func (s *Server) oauthPart(ctx context.Context) part {
	st := s.state.Load()
	switch {
	case st.oauthOff:
		return part{Name: "oauth", Status: partOff, Message: "The policy wants no authorization server."}
	case s.oauth == nil && s.cfg.oauthPrefix() == "":
		return part{Name: "oauth", Status: partOff, Message: "There is no authorization server, since the address of this one is not known: give --public-url to have one."}
	case s.oauth == nil:
		return part{Name: "oauth", Status: partWarning, Message: "The policy turns the authorization server on, which was off at the start: restart for it."}
	}
	p := part{Name: "oauth", Status: partOK, Message: "Apps get tokens of " + s.oauth.prefix + "."}
	keys, err := s.oauth.Keys(ctx)
	if err != nil {
		p.Status, p.Message = partWarning, "The signing keys cannot be read right now, since the store cannot."
		return p
	}
	p.Details = map[string]any{"signing_keys": len(keys), "next_rotation_at": orNull(rfc3339(nextRotation(keys, st.oauth.KeyLifetime)))}
	return p
}

// nextRotation is when the next signing key takes the place of one that signs; zero
// where none does.
func nextRotation(keys []authz.KeyInfo, lifetime time.Duration) time.Time {
	ends := map[string]time.Time{} // by algorithm
	for _, k := range keys {
		if k.State == "current" && ends[k.Algorithm].IsZero() {
			ends[k.Algorithm] = k.UseAt.Add(lifetime)
		}
		if k.State == "next" {
			ends[k.Algorithm] = k.UseAt // which is known, whatever the lifetime was before
		}
	}
	var first time.Time
	for _, end := range ends {
		if first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}
