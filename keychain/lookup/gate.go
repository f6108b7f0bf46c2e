package lookup

import (
	"context"
	"errors"
	"time"
)

// gateTimeout bounds the wait for a place.
const gateTimeout = 5 * time.Second

// A Gate lets a number of askers in and makes the others wait.
type Gate chan struct{}

// NewGate returns a gate with n places.
func NewGate(n int) Gate { return make(Gate, n) }

// ErrBusy is the error of whoever waited in vain.
var ErrBusy = errors.New("too many look-ups at once")

// Enter waits for a place, for as long as ctx allows and five seconds at most. Who
// has gone gets none, even where one is free. Its error is ErrBusy or the cause of
// ctx.
func (g Gate) Enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return g.stay(ctx)
	default:
	}
	timer := time.NewTimer(gateTimeout)
	defer timer.Stop()
	select {
	case g <- struct{}{}:
		return g.stay(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return ErrBusy
	}
}

func (g Gate) stay(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	g.Leave()
	return context.Cause(ctx)
}

// Leave gives the place back.
func (g Gate) Leave() { <-g }
