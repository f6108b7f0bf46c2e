package server

import (
	"context"
	"sync"
)

// openSockets counts hijacked connections, which http.Server.Shutdown forgets.
type openSockets struct {
	mu   sync.Mutex // guards the rest
	n    int
	zero chan struct{} // closed when n falls to 0; nil unless somebody waits
}

func (s *openSockets) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
}

func (s *openSockets) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n--
	if s.n == 0 && s.zero != nil {
		close(s.zero)
		s.zero = nil
	}
}

func (s *openSockets) count() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(s.n)
}

// wait returns when no socket is open, or when ctx ends.
func (s *openSockets) wait(ctx context.Context) {
	s.mu.Lock()
	if s.n == 0 {
		s.mu.Unlock()
		return
	}
	if s.zero == nil {
		s.zero = make(chan struct{})
	}
	zero := s.zero
	s.mu.Unlock()
	select {
	case <-zero:
	case <-ctx.Done():
	}
}
