package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/server/seal"
	"wavegate/server/webhook"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sealing returns keys that are the same in every test.
func sealing(t testing.TB) seal.Keys {
	t.Helper()
	k, err := seal.New([][]byte{bytes.Repeat([]byte{7}, seal.Size)})
	must(t, err)
	return k
}

// A claim is what a memory store hands out once.
type claim struct {
	limit, perEndpoint int
	ids                []string
}

// A memory is a Store.
type memory struct {
	// strict counts the claims that are held against perEndpoint, and not those of
	// one call alone. Both are right.
	strict bool

	mu         sync.Mutex // guards what follows
	endpoints  map[string]webhook.Endpoint
	deliveries []*webhook.Delivery
	until      map[string]time.Time // claims, by delivery
	results    map[string][]webhook.Result
	claims     []claim
	asked      int
	err        error // of every question
	finishErr  error
}

func newMemory() *memory {
	return &memory{endpoints: map[string]webhook.Endpoint{}, until: map[string]time.Time{}, results: map[string][]webhook.Result{}}
}

func (s *memory) isDue(d *webhook.Delivery, now time.Time) bool {
	return d.State == webhook.Pending && !d.NextAt.After(now) && !s.until[d.ID].After(now)
}

func (s *memory) ClaimDeliveries(_ context.Context, now, until time.Time, limit, perEndpoint int) ([]webhook.Due, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	held := map[string]int{}
	for _, d := range s.deliveries {
		if s.strict && d.State == webhook.Pending && s.until[d.ID].After(now) {
			held[d.EndpointID]++
		}
	}
	c := claim{limit: limit, perEndpoint: perEndpoint}
	var list []webhook.Due
	for _, d := range s.deliveries {
		if len(list) < limit && held[d.EndpointID] < perEndpoint && s.isDue(d, now) {
			held[d.EndpointID]++
			s.until[d.ID] = until
			c.ids = append(c.ids, d.ID)
			list = append(list, webhook.Due{Delivery: *d, Endpoint: s.endpoints[d.EndpointID]})
		}
	}
	s.claims = append(s.claims, c)
	return list, nil
}

func (s *memory) FinishDelivery(_ context.Context, r webhook.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finishErr != nil {
		return s.finishErr
	}
	for _, d := range s.deliveries {
		if d.ID == r.ID {
			d.State, d.NextAt, d.LastAt, d.LastStatus, d.LastError, d.LastBody = r.State, r.NextAt, r.At, r.Status, r.Error, r.Body
			d.Attempts++
			delete(s.until, r.ID)
			s.results[r.ID] = append(s.results[r.ID], r)
			return nil
		}
	}
	return webhook.ErrNotFound
}

func (s *memory) NextDelivery(context.Context) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	var next time.Time
	for _, d := range s.deliveries {
		at := d.NextAt
		if until := s.until[d.ID]; until.After(at) {
			at = until
		}
		if d.State == webhook.Pending && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, s.err
}

// endpoint adds a webhook for an address, and returns its ID and its secret.
func (s *memory) endpoint(t testing.TB, url string) (string, webhook.Secret) {
	t.Helper()
	secret := webhook.NewSecret()
	id := webhook.NewEndpointID()
	sealed, err := secret.Seal(sealing(t), id)
	must(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints[id] = webhook.Endpoint{ID: id, URL: url, Secret: sealed}
	return id, secret
}

func (s *memory) edit(id string, change func(*webhook.Endpoint)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoints[id]
	change(&e)
	s.endpoints[id] = e
}

// emit adds a delivery that is due now, and returns its ID.
func (s *memory) emit(t testing.TB, endpointID string) string {
	t.Helper()
	ev := webhook.NewEvent(webhook.KeyRotated, "user:ann", time.Now(), map[string]any{"id": "key_1", "name": "<a&b>"})
	d, err := webhook.NewDelivery(endpointID, &ev, time.Now())
	must(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliveries = append(s.deliveries, &d)
	return d.ID
}

func (s *memory) delivery(id string) webhook.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.deliveries {
		if d.ID == id {
			return *d
		}
	}
	return webhook.Delivery{}
}

func (s *memory) resultsOf(id string) []webhook.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.results[id])
}

// timesAsked is how often NextDelivery was called.
func (s *memory) timesAsked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *memory) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// loopback are the rules of tests: receivers are on this machine.
func loopback() webhook.Rules {
	return webhook.Rules{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
}

// newManager makes a Manager whose settings may be changed before.
func newManager(t testing.TB, s webhook.Store, change func(*webhook.Config)) *webhook.Manager {
	t.Helper()
	cfg := webhook.Config{Store: s, Seal: sealing(t), Rules: loopback}
	if change != nil {
		change(&cfg)
	}
	m, err := webhook.New(cfg)
	must(t, err)
	return m
}

// run runs a Manager until the end of the test, or until stop is called.
func run(t testing.TB, m *webhook.Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// eventually waits for a condition, and fails when it does not come true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}

// A received is a request that came to a receiver.
type received struct {
	method, path string
	header       http.Header
	body         string
}

// A receiver is a server that webhooks are sent to.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex // guards got
	got []received
}

// receive starts a receiver that answers with h.
func receive(t testing.TB, start func(http.Handler) *httptest.Server, h http.HandlerFunc) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = start(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var b bytes.Buffer
		if _, err := b.ReadFrom(req.Body); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, received{req.Method, req.URL.RequestURI(), req.Header, b.String()})
		r.mu.Unlock()
		h(w, req)
	}))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// attempt makes one attempt at an address and returns its result.
func attempt(t testing.TB, url string, change func(*webhook.Config)) webhook.Result {
	t.Helper()
	s := newMemory()
	id, _ := s.endpoint(t, url)
	d := s.emit(t, id)
	stop := run(t, newManager(t, s, change))
	eventually(t, "a result", func() bool { return len(s.resultsOf(d)) > 0 })
	stop()
	return s.resultsOf(d)[0]
}

// corpus returns the lines of a file in testdata, without comments, as the words
// before and after the last run of spaces. In the first \xNN is a byte.
func corpus(t testing.TB, name string) [][2]string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	must(t, err)
	var lines [][2]string
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "# ") || line == "#" {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		text := strings.TrimSpace(line[:at])
		for i := strings.Index(text, `\x`); i >= 0; i = strings.Index(text, `\x`) {
			var b byte
			_, err := fmt.Sscanf(text[i+2:i+4], "%02x", &b)
			must(t, err)
			text = text[:i] + string([]byte{b}) + text[i+4:]
		}
		lines = append(lines, [2]string{text, line[at+1:]})
	}
	if len(lines) < 10 {
		t.Fatalf("%s has %d lines", name, len(lines))
	}
	return lines
}

// logBuffer collects a log.
type logBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
