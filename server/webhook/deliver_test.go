package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/webhook"
)

// A wire is a client that counts what is under way, and takes as long as it is
// told for each host.
type wire struct {
	code int

	mu       sync.Mutex               // guards what follows
	takes    map[string]time.Duration // by host
	now, max map[string]int
	sent     map[string][]time.Time // by webhook-id
}

func newWire(code int) *wire {
	return &wire{takes: map[string]time.Duration{}, code: code, now: map[string]int{}, max: map[string]int{}, sent: map[string][]time.Time{}}
}

func (w *wire) count(host string, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range []string{host, ""} {
		w.now[h] += by
		w.max[h] = max(w.max[h], w.now[h])
	}
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.count(r.URL.Host, 1)
	defer w.count(r.URL.Host, -1)
	w.mu.Lock()
	id := r.Header.Get("webhook-id")
	w.sent[id] = append(w.sent[id], time.Now())
	takes := w.takes[r.URL.Host]
	w.mu.Unlock()
	select {
	case <-time.After(takes):
		return &http.Response{StatusCode: w.code, Body: http.NoBody}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (w *wire) take(host string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takes[host] = d
}

// most is how many attempts were under way at once to a host; "" is all.
func (w *wire) most(host string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.max[host]
}

func (w *wire) times(eventID string) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent[eventID]
}

// start runs a Manager whose client is c.
func start(t *testing.T, s webhook.Store, c http.RoundTripper, change func(*webhook.Config)) (m *webhook.Manager, stop func()) {
	t.Helper()
	m = newManager(t, s, change)
	m.SetClient(c)
	return m, run(t, m)
}

// delivered is how many deliveries of the list have arrived.
func (s *memory) delivered(ids []string) int {
	n := 0
	for _, id := range ids {
		if s.delivery(id).State == webhook.Delivered {
			n++
		}
	}
	return n
}

func (s *memory) burst(t *testing.T, endpointID string, n int) (ids []string) {
	t.Helper()
	for range n {
		ids = append(ids, s.emit(t, endpointID))
	}
	return ids
}

func TestScheduleGrowsForADayAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := newMemory(), newWire(500)
		id, _ := s.endpoint(t, "https://example.com/")
		d := s.emit(t, id)
		_, stop := start(t, s, w, nil)
		time.Sleep(48 * time.Hour)
		stop()
		sent := w.times(s.delivery(d).EventID)
		pauses := []time.Duration{
			5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
			time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour,
		}
		created := s.delivery(d).CreatedAt
		if !sent[0].Equal(created) || len(sent) < len(pauses) {
			t.Fatalf("%d attempts, the first %s after the event", len(sent), sent[0].Sub(created))
		}
		for i, got := range sent[1:] {
			pause := got.Sub(sent[i])
			want := pauses[min(i, len(pauses)-1)]
			last := got.Equal(created.Add(24 * time.Hour))
			// Half a second is how often a store that is asked in vain is asked again.
			if pause > want+want/10+time.Second || pause < want-want/10 && !last {
				t.Errorf("%s between attempts %d and %d, want about %s", pause, i+1, i+2, want)
			}
		}
		if last := sent[len(sent)-1].Sub(created); last != 24*time.Hour {
			t.Errorf("the last attempt is %s after the event, want 24h", last)
		}
		if got := s.delivery(d); got.State != webhook.Dead || got.Attempts != len(sent) {
			t.Errorf("at the end: %+v", got)
		}
	})
}

func TestPausesDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := newMemory(), newWire(500)
		id, _ := s.endpoint(t, "https://example.com/")
		ids := s.burst(t, id, 20)
		_, stop := start(t, s, w, func(c *webhook.Config) { c.PerEndpoint, c.Workers = 50, 50 })
		time.Sleep(time.Second)
		stop()
		pauses := map[time.Duration]bool{}
		for _, d := range ids {
			r := s.resultsOf(d)[0]
			pauses[r.NextAt.Sub(r.At)] = true
		}
		if len(pauses) < 10 {
			t.Errorf("%d pauses among %d deliveries that failed together", len(pauses), len(ids))
		}
	})
}

func TestGoneIsDeadAtOnceAndOldIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for code, age := range map[int]time.Duration{410: 0, 500: 25 * time.Hour} {
			s, w := newMemory(), newWire(code)
			id, _ := s.endpoint(t, "https://example.com/")
			d := s.emit(t, id)
			time.Sleep(age)
			_, stop := start(t, s, w, nil)
			time.Sleep(time.Hour)
			stop()
			if got := s.delivery(d); got.State != webhook.Dead || got.Attempts != 1 || !got.NextAt.IsZero() {
				t.Errorf("%d after %s: %+v", code, age, got)
			}
		}
	})
}

func TestRetryAfterIsHonouredWithinBounds(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "60": time.Minute, " 60 ": time.Minute, "86400": 8 * time.Hour, "4294967295": 8 * time.Hour,
		"99999999999999999999": 0, "-5": 0, "soon": 0, "1.5": 0,
		now.Add(time.Minute).Format(http.TimeFormat):     time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat):    0,
		now.Add(1e6 * time.Hour).Format(http.TimeFormat): 8 * time.Hour,
	} {
		if got := webhook.RetryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			code        int
			header      string
			least, most time.Duration
		}{
			{429, "600", 10 * time.Minute, 10 * time.Minute},
			{503, "600", 10 * time.Minute, 10 * time.Minute},
			{503, "999999", 8 * time.Hour, 8 * time.Hour},
			{503, "1", 4500 * time.Millisecond, 5500 * time.Millisecond}, // never sooner than the schedule
			{500, "600", 4500 * time.Millisecond, 5500 * time.Millisecond},
		} {
			s := newMemory()
			id, _ := s.endpoint(t, "https://example.com/")
			d := s.emit(t, id)
			_, stop := start(t, s, answers(test.code, "Retry-After", test.header), nil)
			time.Sleep(time.Second)
			stop()
			r := s.resultsOf(d)[0]
			if pause := r.NextAt.Sub(r.At); pause < test.least || pause > test.most {
				t.Errorf("%d with Retry-After %s: again after %s", test.code, test.header, pause)
			}
		}
	})
}

func TestWakeDeliversAtOnceAndOthersEventsAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := newMemory(), newWire(200)
		id, _ := s.endpoint(t, "https://example.com/")
		m, stop := start(t, s, w, nil)
		time.Sleep(time.Hour + time.Second)
		d := s.emit(t, id)
		m.Wake()
		m.Wake()
		synctest.Wait()
		if s.delivery(d).State != webhook.Delivered {
			t.Error("it was not delivered at once")
		}
		d = s.emit(t, id) // by another process
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s.delivery(d).State != webhook.Delivered {
			t.Error("the event of another process was not found within 5 seconds")
		}
		asked := s.timesAsked()
		time.Sleep(time.Hour)
		if n := s.timesAsked() - asked; n > 721 {
			t.Errorf("the store was asked %d times in an hour without events", n)
		}
		stop()
	})
}

// TestASlowEndpointHoldsNobodyUp has many deliveries due to endpoints that never
// answer, all older than those to one that does.
func TestASlowEndpointHoldsNobodyUp(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict=%t", strict), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, w := newMemory(), newWire(200)
				s.strict = strict
				for i := range 3 {
					host := fmt.Sprintf("slow%d.example", i)
					w.take(host, time.Hour)
					id, _ := s.endpoint(t, "https://"+host+"/")
					s.burst(t, id, 500)
				}
				m, stop := start(t, s, w, nil)
				synctest.Wait()
				w.take("fast.example", 10*time.Millisecond)
				fast, _ := s.endpoint(t, "https://fast.example/")
				ids := s.burst(t, fast, 50)
				m.Wake()
				time.Sleep(5 * time.Second)
				if n := s.delivered(ids); n != len(ids) {
					t.Errorf("%d of %d deliveries arrived at an endpoint that is fast", n, len(ids))
				}
				time.Sleep(10 * time.Minute)
				if w.most("slow0.example") != 2 || w.most("fast.example") > 2 || w.most("") > 8 {
					t.Errorf("attempts at once: slow %d, fast %d, all %d", w.most("slow0.example"), w.most("fast.example"), w.most(""))
				}
				stop()
			})
		})
	}
}

func TestABurstArrivesOnce(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict=%t", strict), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, w := newMemory(), newWire(200)
				s.strict = strict
				var ids []string
				for i := range 5 {
					host := fmt.Sprintf("host%d.example", i)
					w.take(host, time.Duration(10*(i+1))*time.Millisecond)
					id, _ := s.endpoint(t, "https://"+host+"/")
					ids = append(ids, s.burst(t, id, 100)...)
				}
				_, stop1 := start(t, s, w, nil)
				_, stop2 := start(t, s, w, nil)
				time.Sleep(5 * time.Minute)
				stop1()
				stop2()
				if n := s.delivered(ids); n != len(ids) {
					t.Errorf("%d of %d arrived", n, len(ids))
				}
				for id, times := range w.sent {
					if len(times) != 1 {
						t.Errorf("%s was sent %d times", id, len(times))
					}
				}
				if w.most("") > 16 || w.most("host0.example") > 4 {
					t.Errorf("attempts at once by two processes: %d, to one endpoint %d", w.most(""), w.most("host0.example"))
				}
			})
		})
	}
}

func TestAStoreThatFailsIsNotHammeredAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, log := newMemory(), newWire(200), new(logBuffer)
		id, _ := s.endpoint(t, "https://example.com/")
		d := s.emit(t, id)
		s.fail(errors.New("no such table"))
		_, stop := start(t, s, w, func(c *webhook.Config) { c.Log = log.logger() })
		time.Sleep(10 * time.Minute)
		if n := s.timesAsked(); n > 30 || n < 10 {
			t.Errorf("it was asked %d times in ten minutes", n)
		}
		s.fail(nil)
		time.Sleep(31 * time.Second)
		if s.delivery(d).State != webhook.Delivered {
			t.Error("it was not delivered when the store was back")
		}
		stop()
	})
}

func TestAResultThatCannotBeNotedIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := newMemory(), newWire(200)
		id, _ := s.endpoint(t, "https://example.com/")
		d := s.emit(t, id)
		s.finishErr = errors.New("disk full")
		_, stop := start(t, s, w, nil)
		time.Sleep(50 * time.Second)
		if n := len(w.times(s.delivery(d).EventID)); n != 1 {
			t.Errorf("sent %d times while the claim lasts", n)
		}
		time.Sleep(50 * time.Second)
		s.mu.Lock()
		s.finishErr = nil
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		stop()
		if n := len(w.times(s.delivery(d).EventID)); n != 2 || s.delivery(d).State != webhook.Delivered {
			t.Errorf("sent %d times, %+v", n, s.delivery(d))
		}
	})
}

func TestADeliveryThatWasRemovedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := newMemory(), new(logBuffer)
		id, _ := s.endpoint(t, "https://example.com/")
		s.emit(t, id)
		s.finishErr = webhook.ErrNotFound
		_, stop := start(t, s, answers(200), func(c *webhook.Config) { c.Log = log.logger() })
		time.Sleep(2 * time.Second)
		before := time.Now()
		stop()
		if log.String() == "" || time.Since(before) != 0 {
			t.Errorf("it took %s to stop; log:\n%s", time.Since(before), log)
		}
	})
}

func TestAStopAbandonsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := newMemory(), newWire(200)
		w.take("slow.example", time.Hour)
		w.take("quick.example", 2*time.Second)
		slow, _ := s.endpoint(t, "https://slow.example/")
		quick, _ := s.endpoint(t, "https://quick.example/")
		hung, soon, later := s.emit(t, slow), s.emit(t, quick), ""
		m, stop := start(t, s, w, nil)
		synctest.Wait()
		later = s.emit(t, quick)
		began := time.Now()
		stop()
		m.Wake() // is harmless
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the stop took %s, want 5s", took)
		}
		if s.delivery(soon).State != webhook.Delivered {
			t.Error("an attempt that needed 2 seconds more was abandoned")
		}
		if s.delivery(later).Attempts != 0 || len(w.times(s.delivery(later).EventID)) != 0 {
			t.Error("an attempt began after the stop")
		}
		if d := s.delivery(hung); d.Attempts != 0 || d.State != webhook.Pending {
			t.Errorf("what was abandoned has a result: %+v", d)
		}
		w.take("slow.example", 0)
		_, stop = start(t, s, w, nil) // the next process
		time.Sleep(time.Minute)
		stop()
		for _, id := range []string{hung, later} {
			if s.delivery(id).State != webhook.Delivered {
				t.Errorf("the next process did not deliver %+v", s.delivery(id))
			}
		}
	})
}

func TestAnEndpointThatIsOffGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := newMemory(), newWire(200)
		id, _ := s.endpoint(t, "https://example.com/")
		s.edit(id, func(e *webhook.Endpoint) { e.DisabledAt = time.Now() })
		d := s.emit(t, id)
		_, stop := start(t, s, w, nil)
		time.Sleep(time.Second)
		stop()
		if got := s.delivery(d); got.State != webhook.Dead || got.LastError != "the webhook is switched off" || w.most("") != 0 {
			t.Errorf("%+v, %d requests", got, w.most(""))
		}
	})
}

func TestConfigProblems(t *testing.T) {
	err := webhook.Config{Workers: -1, PerEndpoint: -1}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("not all problems: %v", err)
	}
	if _, err := webhook.New(webhook.Config{}); err == nil {
		t.Error("a Manager without a store")
	}
}
