package gateway

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// bufferSize is the size of the buffers through which bodies are copied.
const bufferSize = 32 << 10

// A proxy passes the requests of one route to its upstream.
type proxy struct {
	gateway *Gateway
	route   *policy.Route
	scheme  string // "http" or "https"
	base    string // the target's escaped path without trailing slash
	strip   string // prefix to take off; "" for none
	limit   int64  // bytes of a request body; 0 is no limit
	reverse *httputil.ReverseProxy

	authorization []string // of an app that registered itself; nil for none
	unreachable   func()   // called when nothing listens at the target; may be nil
}

// newProxy returns the proxy of a route over a transport.
func (g *Gateway) newProxy(route *policy.Route, over http.RoundTripper) *proxy {
	p := &proxy{
		gateway: g,
		route:   route,
		scheme:  route.Target.Scheme,
		base:    strings.TrimRight(route.Target.EscapedPath(), "/"),
		limit:   route.MaxRequestSize,
	}
	if p.scheme == "h2c" {
		p.scheme = "http"
	}
	if route.StripPrefix && route.Path != "/" {
		p.strip = route.Path
	}
	if p.limit == policy.ServerDefault {
		p.limit = g.cfg.MaxRequestSize
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      over,
		BufferPool:     &g.buffers,
		ErrorLog:       g.errorLog,
		ModifyResponse: p.modifyResponse,
		ErrorHandler:   p.handleError,
	}
	return p
}

// serve passes one request on.
func (p *proxy) serve(w http.ResponseWriter, r *http.Request, id *identity.Request) error {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		// TRACE would show the client what we add for the upstream.
		return fault.MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	if p.limit > 0 && r.ContentLength > p.limit {
		return tooLarge()
	}
	socket := IsWebSocket(r)
	if socket {
		if err := checkOrigin(r, id, p.gateway.origins); err != nil {
			return err
		}
	} else if r.Header["Upgrade"] != nil {
		r = withoutUpgrade(r)
	}
	fields, err := p.gateway.identities.fields(id.Principal, p.route)
	if err != nil {
		return err
	}
	x := &exchange{Context: r.Context(), id: id, writer: w, origin: r.Header["Origin"], fields: fields}
	x.tokens = p.gateway.tokenFields(id.Principal, p.route)
	defer x.finish()
	release, err := p.bind(x, socket)
	if err != nil {
		return err
	}
	defer release()
	out := p.outgoing(w, r, x)
	if socket {
		w = &socketWriter{w, x}
	}
	p.reverse.ServeHTTP(w, out)
	return x.err
}

// bind ties the exchange to what may end it before the client does: the
// credential, an idle stream, for a socket also the end of the server.
func (p *proxy) bind(x *exchange, socket bool) (release func(), err error) {
	var ended context.Context
	if who := x.id.Principal; who != nil {
		ended = who.Ended
	}
	release = func() {}
	if ended == nil && !socket && p.route.IdleTimeout == 0 {
		return release, nil
	}
	x.Context, x.cancel = context.WithCancelCause(x.Context)
	if socket {
		done, ok := p.gateway.sockets.add(func() { x.cancel(errClosing) })
		if !ok {
			return nil, closing()
		}
		release = done
	}
	if ended != nil {
		stop, next := x.endWith(ended), release
		release = func() { stop(); next() }
	}
	return release, nil
}

// outgoing returns the request that the reverse proxy starts from.
func (p *proxy) outgoing(w http.ResponseWriter, r *http.Request, x *exchange) *http.Request {
	out := r.WithContext(x)
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return out
	}
	body := r.Body
	if p.limit > 0 {
		body = http.MaxBytesReader(w, body, p.limit)
	}
	x.body = &requestBody{ReadCloser: body, chunked: r.ProtoMajor == 1 && r.ContentLength < 0}
	out.Body = x.body
	// Otherwise net/http swallows what is left of an HTTP/1 body when the answer
	// begins, and the upstream never sees it. HTTP/2 does not need it and says so.
	_ = http.NewResponseController(w).EnableFullDuplex()
	return out
}

// rewrite makes the upstream's request of the client's. Hop-by-hop headers and
// those named in Connection are gone already.
func (p *proxy) rewrite(pr *httputil.ProxyRequest) {
	x, out := exchangeOf(pr.In.Context()), pr.Out
	p.direct(pr)
	out.Trailer = x.body.passTrailers(pr.In.Trailer)

	h := out.Header
	StripInbound(h, x.id.Forwarded)
	p.gateway.forward.apply(h)
	stripCookies(h, p.gateway.cookies)
	stripCredential(h, x.id.Principal)
	setForwarded(h, x.id, p.strip)
	for _, fields := range [...][]field{x.fields, x.tokens} {
		for _, f := range fields {
			h[f.name] = f.values
		}
	}
	if p.authorization != nil {
		h["Authorization"] = p.authorization
	}
}

// direct points the outgoing request at the target. The path that goes out is
// the one that came in, byte for byte, as is the query.
func (p *proxy) direct(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host, out.URL.User = p.scheme, p.route.Target.Host, nil
	out.URL.RawQuery = pr.In.URL.RawQuery
	out.Host = p.route.Target.Host
	if p.route.PassHost {
		out.Host = exchangeOf(pr.In.Context()).id.HostPort
	}
	if p.strip == "" && p.base == "" {
		return
	}
	tail := pr.In.URL.EscapedPath()
	if p.strip != "" {
		tail = pathBeyond(tail, p.strip)
	}
	if tail == "" {
		tail = "/"
	}
	out.URL.RawPath = p.base + tail
	out.URL.Path, _ = url.PathUnescape(out.URL.RawPath) // it was decoded before
}

// setForwarded tells the upstream who the client is, and the request's id. One address is sent, the
// client's: what stood left of it was written by strangers.
func setForwarded(h http.Header, id *identity.Request, strip string) {
	values := [4]string{id.Scheme, id.HostPort, "", id.ID}
	h["X-Forwarded-Proto"] = values[0:1:1]
	if id.ID != "" {
		h["X-Request-Id"] = values[3:4:4] // ours: the log line, the error page and the app name the same one
	}
	if id.HostPort != "" {
		h["X-Forwarded-Host"] = values[1:2:2]
	}
	if id.ClientIP.IsValid() {
		values[2] = id.ClientIP.String()
		h["X-Forwarded-For"], h["X-Real-IP"] = values[2:3:3], values[2:3:3]
	}
	if strip != "" {
		h["X-Forwarded-Prefix"] = []string{h.Get("X-Forwarded-Prefix") + strip}
	}
}

// modifyResponse changes the headers of the upstream's answer as the route
// says.
func (p *proxy) modifyResponse(resp *http.Response) error {
	x := exchangeOf(resp.Request.Context())
	if p.route.CORS != nil {
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				delete(resp.Header, name)
			}
		}
		// An informational answer takes every header off the writer, so they
		// are set again here.
		setCORS(x.writer.Header(), x.origin, p.route.CORS)
	}
	changeHeaders(resp.Header, p.route.ResponseHeaders)
	dropSetCookies(resp.Header, p.gateway.cookies)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.answer = resp.Header
	}
	if p.route.IdleTimeout > 0 {
		resp.Body = x.watch(resp.Body, p.route.IdleTimeout)
	}
	if x.answer != nil {
		resp.Body = attend(resp.Body, x.id.Principal)
	}
	return nil
}

// changeHeaders removes and sets the headers of an answer.
func changeHeaders(h http.Header, change policy.ResponseHeaders) {
	for _, name := range change.Remove {
		delete(h, name)
	}
	for _, f := range change.Set {
		h[f.Name] = []string{f.Value}
	}
}

// handleError notes why there is no answer; serve returns it.
func (p *proxy) handleError(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	x.err = p.faultOf(x, err)
	if p.unreachable != nil && x.Err() == nil && isUnreachable(err) {
		p.unreachable()
	}
}

// bufferPool lends the buffers through which bodies are copied.
type bufferPool struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *bufferPool) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *bufferPool) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
