package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/limit"
	"wavegate/server/policy"
)

var (
	errRate = fault.New(http.StatusTooManyRequests, "rate_limit_exceeded",
		"Too many requests. Wait as long as Retry-After says.")
	errConcurrency = fault.New(http.StatusTooManyRequests, "rate_limit_exceeded",
		"Too many requests at the same time. Wait until one of them has ended.")
	errBandwidth = fault.New(http.StatusTooManyRequests, "rate_limit_exceeded",
		"The bandwidth of this month is used up.")
	errOps = fault.New(http.StatusPaymentRequired, "ops_limit_reached",
		"This key has used up its operations. Get another key.")
	errBudget = fault.New(http.StatusPaymentRequired, "budget_exceeded",
		"The budget of operations is used up for now. Wait as long as Retry-After says, or have it raised.")
	errLimitsUnavailable = fault.New(http.StatusServiceUnavailable, "store_unavailable",
		"Budgets cannot be checked right now. Try again in a moment.")

	// errSpent ends an answer under way whose account has no bandwidth left.
	errSpent = errors.New("the bandwidth of this month is used up")
)

// take lets a request in that was allowed, if everybody who pays for it can: all
// of them are charged, or nobody is.
func (s *Server) take(ex *exchange, accounts []*limit.Account) error {
	if len(accounts) == 0 || s.limits == nil || ex.accounts != nil {
		return nil
	}
	v, err := s.limits.Take(ex.ctx, ex.start, accounts)
	if err != nil {
		return errLimitsUnavailable.RetryAfter(time.Second).Because(err)
	}
	ex.verdict = v
	if v.Reason == limit.None {
		ex.accounts = accounts
		return nil
	}
	return overLimit(&v)
}

// overLimit is the answer where somebody cannot pay.
func overLimit(v *limit.Verdict) error {
	e := errRate
	switch v.Reason {
	case limit.Concurrency:
		e = errConcurrency
	case limit.Bandwidth:
		e = errBandwidth
	case limit.Ops:
		return errOps
	case limit.OpsBudget:
		e = errBudget
	}
	e = e.RetryAfter(v.RetryAfter)
	if e.Status == http.StatusTooManyRequests {
		e = e.WithHeader("X-RateLimit-Retry-After", e.Header.Get("Retry-After"))
	}
	return e
}

// payers are who pays for a request: those of the principal, and on a public
// route the address that it comes from.
func (s *Server) payers(ex *exchange, st *state, route *policy.Route) []*limit.Account {
	if ex.Principal != nil {
		return ex.Principal.Accounts
	}
	if route == nil || route.Access != policy.Public || !ex.ClientIP.IsValid() {
		return nil
	}
	tier := st.policy.AnonymousTier(route)
	if tier.Unlimited() {
		return nil
	}
	return []*limit.Account{{Name: "ip:" + limit.Source(ex.ClientIP).String(), Tier: tier}}
}

// accountsOf are who pays for the requests of a person or an access key.
func accountsOf(p *identity.Principal, st *state) []*limit.Account {
	name := "user:" + p.Subject
	if p.Method == identity.MethodAccessKey {
		name = "access-key:" + p.KeyID
	}
	return bounded([]*limit.Account{{Name: name, Tier: st.policy.UserTier(p)}})
}

// personAccount is what a person pays from for what is done in their name by a key
// or an app: the account of their sessions, and its tier. Of somebody who never
// signed in here, and where the store does not say, the tier is the default of users.
func (s *Server) personAccount(subject, userID string, st *state) *limit.Account {
	who := &identity.Principal{}
	if userID != "" && s.signIn != nil && s.signIn.sessions != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if u, err := s.signIn.sessions.User(ctx, userID); err == nil {
			who = s.userPrincipal(&u, st.policy)
		}
	}
	return &limit.Account{Name: "user:" + subject, Tier: st.policy.UserTier(who)}
}

// bounded leaves out those who are not limited at all.
func bounded(accounts []*limit.Account) []*limit.Account {
	var kept []*limit.Account
	for _, a := range accounts {
		if a.Bounded() {
			kept = append(kept, a)
		}
	}
	return kept
}

// release ends what take and the look-up of the credential began.
func (ex *exchange) release() {
	if ex.accounts != nil {
		ex.pay(0)
		ex.server.limits.Release(time.Now(), ex.accounts)
	}
	if ex.key != nil {
		ex.key.Release()
	}
	if ex.token != nil {
		ex.token.Release()
	}
	if ex.letGo != nil {
		ex.letGo()
	}
}

// payEvery is how many bytes flow before they are counted.
const payEvery = 64 << 10

// pay counts bytes of a body against the bandwidth of who pays. It reports false
// when there is none left: what flows is to end. Bodies, answers and sockets are
// carried by goroutines of their own, so it may be called by several.
func (ex *exchange) pay(n int) bool {
	if ex.accounts == nil {
		return true
	}
	owed := ex.owed.Add(int64(n))
	if n > 0 && owed < payEvery {
		return true
	}
	owed = ex.owed.Swap(0)
	return owed == 0 || ex.server.limits.Spend(time.Now(), ex.accounts, owed)
}

// limitHeaders says what is left of the rate, in the words of the contract and in
// those of the IETF's draft, and that a key is in its last days.
func (ex *exchange) limitHeaders(h http.Header) {
	if ex.verdict.Limit > 0 {
		ex.rateHeaders(h)
	}
	if ex.key == nil {
		return
	}
	if rec := ex.key.Record(); rec.Status(ex.start) == apikey.Deprecated {
		h["Wave-Key-Status"] = []string{string(apikey.Deprecated)}
		h["Wave-Key-Expires"] = []string{rfc3339(rec.ExpiresAt)}
	}
}

// rateHeaders writes its six values into one text, of which each is a part: they are
// in every answer to somebody who has a rate.
func (ex *exchange) rateHeaders(h http.Header) {
	for _, name := range [...]string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Policy", "Ratelimit", "Ratelimit-Policy"} {
		delete(h, name) // an upstream's own, in Go's spelling
	}
	v := &ex.verdict
	var room [192]byte
	var ends [6]int
	b := strconv.AppendInt(room[:0], v.Limit, 10)
	ends[0] = len(b)
	b = strconv.AppendInt(b, v.Remaining, 10)
	ends[1] = len(b)
	b = strconv.AppendInt(b, v.ResetUnix(), 10)
	ends[2] = len(b)
	b = v.AppendPolicy(b)
	ends[3] = len(b)
	b = v.AppendRateLimitPolicy(b)
	ends[4] = len(b)
	b = v.AppendRateLimit(b, ex.start)
	ends[5] = len(b)
	text, values, begin := string(b), new([6]string), 0
	for i, name := range [...]string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Policy", "RateLimit-Policy", "RateLimit"} {
		values[i] = text[begin:ends[i]]
		h[name] = values[i : i+1 : i+1]
		begin = ends[i]
	}
}

// A paidConn is a connection that was handed over, whose bytes are counted.
type paidConn struct {
	net.Conn
	ex *exchange
}

// Read implements io.Reader.
func (c *paidConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.ex.bytesIn.Add(int64(n))
	if !c.ex.pay(n) && err == nil {
		err = errSpent
	}
	return n, err
}

// Write implements io.Writer.
func (c *paidConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.ex.socketOut.Add(int64(n))
	if !c.ex.pay(n) && err == nil {
		err = errSpent
	}
	return n, err
}
