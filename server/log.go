package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"wavegate/keychain/apikey"
)

// maxLogged bounds each text of a log line that a client chooses, in bytes.
const maxLogged = 512

// newLogger returns the server's logger. Config.Validate has checked format
// and level.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	var l slog.Level
	if level != "" {
		_ = l.UnmarshalText([]byte(level))
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// record counts the request and writes its one log line. Queries, headers and
// bodies are not in it: they may hold secrets.
func (s *Server) record(ex *exchange, r *http.Request) {
	took := time.Since(ex.start)
	s.metrics.observe(ex, r.Method, took)
	s.tally(ex, took)
	level := slog.LevelInfo
	if ex.status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if !s.log.Enabled(context.Background(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs,
		slog.String("request_id", ex.ID),
		slog.String("client_ip", addrString(ex)),
		slog.String("method", clip(r.Method)),
		slog.String("host", clip(ex.Host)),
		slog.String("path", clip(ex.loggedPath(r))),
		slog.String("proto", r.Proto),
		slog.Int("status", ex.status),
		slog.Int64("bytes", ex.bytesOut),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	)
	if ex.Route != "" {
		attrs = append(attrs, slog.String("route", ex.Route))
	}
	if p := ex.Principal; p != nil {
		attrs = append(attrs, slog.String("principal", p.Subject), slog.String("auth_method", string(p.Method)))
	}
	if client := ex.oauthClient(); client != "" {
		attrs = append(attrs, slog.String("client", client))
	}
	if ex.trace != "" {
		attrs = append(attrs, slog.String("trace_id", ex.trace))
	}
	if ex.userAgent != "" {
		attrs = append(attrs, slog.String("user_agent", clip(ex.userAgent)))
	}
	if ex.fault != nil {
		attrs = append(attrs, slog.String("code", ex.fault.Code))
		if ex.fault.Cause != nil {
			attrs = append(attrs, slog.String("error", ex.fault.Cause.Error()))
		}
	}
	if s.requests != nil {
		s.requests.write(ex.start.Add(took), level, "request", attrs)
		return
	}
	s.log.LogAttrs(context.Background(), level, "request", attrs...)
}

// oauthClient is the OAuth client that asked, or that somebody's token was given to;
// "" for none.
func (ex *exchange) oauthClient() string {
	if ex.client == "" && ex.Principal != nil {
		return ex.Principal.OAuthClientID
	}
	return ex.client
}

func (ex *exchange) loggedPath(r *http.Request) string {
	if ex.Path != "" {
		return ex.Path
	}
	return r.URL.Path // refused before it was normalised
}

func addrString(ex *exchange) string {
	if !ex.ClientIP.IsValid() {
		return ""
	}
	return ex.ClientIP.String()
}

// clip bounds a text from outside, keeps it valid UTF-8, and hides API keys and what
// the authorization server gives that somebody put where they do not belong, such as
// into a path.
func clip(s string) string {
	s = maskTokens(apikey.Mask(s))
	if len(s) > maxLogged {
		s = s[:maxLogged]
	}
	return strings.ToValidUTF8(s, "�")
}

// givenSecret is a code, token or secret of the authorization server: one of the opaque
// ones, of which the prefix stays, or the beginning of a JWT.
var givenSecret = regexp.MustCompile(`(wg(?:ac|rt|dc|cs)_|eyJ)[A-Za-z0-9_.-]{8,}`)

// maskTokens hides what givenSecret finds.
func maskTokens(s string) string {
	if !strings.Contains(s, "wg") && !strings.Contains(s, "eyJ") {
		return s // nearly always
	}
	return givenSecret.ReplaceAllString(s, "${1}…")
}
