package server

import (
	"cmp"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the server's Prometheus series. Every label has a bounded set of
// values: none comes from a client.
type metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec   // route, method, code
	durations *prometheus.HistogramVec // route
	inFlight  prometheus.Gauge
	sockets   prometheus.GaugeFunc
	auths     *prometheus.CounterVec // method, result
	lockouts  *prometheus.CounterVec // kind
	reloads   *prometheus.CounterVec // part, result

	accepted prometheus.Counter // auths, for access keys that were right
	keys     prometheus.Counter // auths, for API keys that were right
	people   prometheus.Counter // auths, for sessions that let somebody in

	mu    sync.RWMutex // guards known
	known map[seriesKey]requestSeries
}

// seriesKey is the labels of a request.
type seriesKey struct{ route, method, code string }

// requestSeries is what counts a request.
type requestSeries struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func newMetrics(version string, openSockets func() float64, certificateEnd func() time.Time) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		known:    map[seriesKey]requestSeries{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wavegate_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wavegate_request_duration_seconds", Help: "Time from the request's header to the answer's end.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wavegate_requests_in_flight", Help: "Requests being served now, open sockets included.",
		}),
		sockets: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wavegate_open_sockets", Help: "Upgraded connections (WebSockets) that are open now.",
		}, openSockets),
		auths: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wavegate_authentications_total", Help: "Credentials checked, by method and result.",
		}, []string{"method", "result"}),
		lockouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wavegate_lockouts_total", Help: "Locks put on keys and addresses after wrong credentials.",
		}, []string{"kind"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wavegate_reloads_total", Help: "Reloads of watched files, by part and result.",
		}, []string{"part", "result"}),
	}
	m.accepted = m.auths.WithLabelValues("access-key", "ok")
	m.keys = m.auths.WithLabelValues("api-key", "ok")
	m.people = m.auths.WithLabelValues("session", "ok")
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wavegate_build_info", Help: "Always 1; the version is the label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	certificate := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wavegate_tls_certificate_not_after_seconds", Help: "When the certificate in use ends, as a Unix time; 0 without one.",
	}, func() float64 {
		if t := certificateEnd(); !t.IsZero() {
			return float64(t.Unix())
		}
		return 0
	})
	m.registry.MustRegister(m.requests, m.durations, m.inFlight, m.sockets, m.auths, m.lockouts, m.reloads, build, certificate,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

func (m *metrics) observe(ex *exchange, method string, took time.Duration) {
	route := cmp.Or(ex.label, ex.Route, "none")
	series := m.seriesOf(seriesKey{route, methodLabel(method), statusLabel(ex.status)})
	series.requests.Inc()
	series.duration.Observe(took.Seconds())
}

// seriesOf returns the series of a request, looked up by their labels once:
// hashing and comparing labels costs more than counting.
func (m *metrics) seriesOf(key seriesKey) requestSeries {
	m.mu.RLock()
	series, ok := m.known[key]
	m.mu.RUnlock()
	if ok {
		return series
	}
	series = requestSeries{m.requests.WithLabelValues(key.route, key.method, key.code), m.durations.WithLabelValues(key.route)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[key] = series
	return series
}

// methodLabel keeps methods that clients invent out of the label.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// statusLabel keeps statuses that upstreams invent out of the label.
func statusLabel(status int) string {
	if http.StatusText(status) == "" {
		return "other"
	}
	return strconv.Itoa(status)
}
