package server

import (
	"sync"
	"time"
)

// badReloads remembers which parts of the settings were bad when they were read the
// last time, so that the old ones stayed. The zero value knows of none.
type badReloads struct {
	mu  sync.Mutex // guards bad
	bad map[string]badReload
}

// A badReload is what was wrong with a part of the settings. Its text holds no
// secret.
type badReload struct {
	at   time.Time
	text string
}

// note keeps how reading a part went; nil is well.
func (b *badReloads) note(part string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.bad, part)
		return
	}
	if b.bad == nil {
		b.bad = map[string]badReload{}
	}
	b.bad[part] = badReload{time.Now(), err.Error()}
}

// of returns what was wrong with a part, and whether something was.
func (b *badReloads) of(part string) (badReload, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bad, ok := b.bad[part]
	return bad, ok
}
