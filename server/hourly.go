package server

import (
	"sync"
	"time"
)

const (
	maxCounted  = 10_000 // makers that are remembered
	countedTime = time.Hour
)

// An hourly remembers when each of many made something in the last hour. The zero
// value remembers nobody. Each process counts for itself.
type hourly struct {
	mu   sync.Mutex // guards made
	made map[string][]time.Time
}

// take counts what is about to be made, of which there may be most in an hour. A
// wait above 0 means that its maker has to wait so long, and that nothing was
// counted. What was counted is given
// back by its time.
func (m *hourly) take(owner string, most int, now time.Time) (at time.Time, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made == nil {
		m.made = map[string][]time.Time{}
	}
	times := m.made[owner]
	for len(times) > 0 && now.Sub(times[0]) >= countedTime {
		times = times[1:]
	}
	if len(times) >= most {
		m.made[owner] = times
		return now, countedTime - max(0, now.Sub(times[0])) // of racing requests the later may have begun earlier
	}
	if len(times) == 0 && len(m.made) >= maxCounted {
		m.forget(now)
	}
	m.made[owner] = append(times, now)
	return now, 0
}

// forget makes room: makers whose hour is over, and any other where there are
// none.
func (m *hourly) forget(now time.Time) {
	for owner, times := range m.made {
		if len(times) == 0 || now.Sub(times[len(times)-1]) >= countedTime {
			delete(m.made, owner)
		}
	}
	for owner := range m.made {
		if len(m.made) < maxCounted {
			return
		}
		delete(m.made, owner)
	}
}

// giveBack takes back what take counted: nothing was made.
func (m *hourly) giveBack(owner string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	times := m.made[owner]
	for i, t := range times {
		if t.Equal(at) {
			m.made[owner] = append(times[:i:i], times[i+1:]...)
			return
		}
	}
}
