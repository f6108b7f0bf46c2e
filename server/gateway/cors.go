package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"wavegate/server/policy"
)

// Preflight puts the CORS headers of a route on the answer, so that scripts can
// read errors too, and answers preflights (WHATWG Fetch, "CORS-preflight
// request") itself: true means that the request is done. A preflight carries no
// credential, is never forwarded and authorises nothing. Where the route has no
// cors, nothing happens and OPTIONS is a request like any other.
func (g *Gateway) Preflight(w http.ResponseWriter, r *http.Request, route *policy.Route) bool {
	if route == nil || route.CORS == nil {
		return false
	}
	h, origin := w.Header(), r.Header["Origin"]
	allowed := setCORS(h, origin, route.CORS)
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || len(origin) == 0 || method == "" {
		return false
	}
	addVary(h, "Access-Control-Request-Method")
	addVary(h, "Access-Control-Request-Headers")
	if allowed {
		setPreflight(h, route.CORS)
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// setCORS sets the headers that let a script of the request's origin read the
// answer, and reports whether the origin may. It can be called twice.
func setCORS(h http.Header, origin []string, cors *policy.CORS) bool {
	if slices.Contains(cors.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
		return true
	}
	addVary(h, "Origin")
	if len(origin) != 1 || !slices.Contains(cors.Origins, origin[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin[0])
	if cors.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

// setPreflight sets what the route allows to scripts of an allowed origin.
func setPreflight(h http.Header, cors *policy.CORS) {
	h.Set("Access-Control-Allow-Methods", strings.Join(cors.Methods, ", "))
	if len(cors.Headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(cors.Headers, ", "))
	}
	if cors.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(cors.MaxAge/time.Second)))
	}
}

// addVary names a request header on which the answer depends, once.
func addVary(h http.Header, name string) {
	if !hasToken(h["Vary"], name) {
		h.Add("Vary", name)
	}
}
