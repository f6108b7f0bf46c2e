package provider

import "time"

const (
	// publishAhead is how long a key is published before it signs, so that whoever
	// keeps a copy of the key set has it by then. A quarter of a key's life is
	// enough where that is less.
	publishAhead = 24 * time.Hour

	// verifyAfter is how long a key verifies after its last token has expired: ID
	// tokens come back as hints when they are older than that.
	verifyAfter = 7 * 24 * time.Hour
)

// A rotation says when the keys of one algorithm replace each other. It is
// arithmetic: times are passed in, and nothing is remembered.
type rotation struct {
	lifetime time.Duration // for which a key signs
	tokens   time.Duration // the longest life of what it signs
}

// lead is how long a key is published before it signs.
func (r rotation) lead() time.Duration { return min(publishAhead, r.lifetime/4) }

// keep is how long a key verifies after the next one took its place.
func (r rotation) keep() time.Duration { return verifyAfter + r.tokens }

// A step is what is to be written: perhaps a key to be added, and the times of
// others that change.
type step struct {
	add             bool
	useAt, retireAt time.Time // of the key to be added
	changed         []SigningKey
}

// none reports whether there is nothing to be written.
func (s step) none() bool { return !s.add && len(s.changed) == 0 }

// next returns the step that is due. The keys are those of one algorithm that can be
// used: the first one signs at once, every other one after it has been published
// for a while. A key that signs keeps its place for as long as the rules of this
// moment say, should they have said less when it was made.
func (r rotation) next(keys []SigningKey, now time.Time) step {
	at := currentKey(keys, now)
	if at < 0 {
		return r.step(now)
	}
	current := keys[at]
	if hasNext(keys, current, now) {
		return step{}
	}
	var s step
	end := current.UseAt.Add(r.lifetime)
	if ahead := now.Add(r.lead()); !end.After(ahead) {
		end = ahead
		s = r.step(end)
	}
	if stays := end.Add(r.keep()); stays.After(current.RetireAt) {
		current.RetireAt = stays
		s.changed = []SigningKey{current}
	}
	return s
}

// atOnce returns the step to a key that signs from now on. One that was to be the
// next never will: whoever wants new keys does not trust what was there before.
func (r rotation) atOnce(keys []SigningKey, now time.Time) step {
	s, current := r.step(now), currentKey(keys, now)
	for i, k := range keys {
		isNext := !k.UseAt.Before(now)
		if isNext {
			k.UseAt = earlier(k.CreatedAt, now.Add(-time.Millisecond))
		}
		if isNext || i == current {
			k.RetireAt = now.Add(r.keep())
			s.changed = append(s.changed, k)
		}
	}
	return s
}

// step adds a key that is used from a time on.
func (r rotation) step(useAt time.Time) step {
	return step{add: true, useAt: useAt, retireAt: useAt.Add(r.lifetime + r.keep())}
}

// currentKey returns the place of the key that signs: the newest one in use. Where
// none is in use yet, by this clock, it is the first that will be: the clock of
// whoever made it is ahead, or those before it cannot be opened. -1 is none.
func currentKey(keys []SigningKey, now time.Time) int {
	best := -1
	for i, k := range keys {
		if k.retired(now) {
			continue
		}
		if best < 0 || k.before(keys[best], now) {
			best = i
		}
	}
	return best
}

// before reports whether k rather than other signs.
func (k SigningKey) before(other SigningKey, now time.Time) bool {
	used, otherUsed := !k.UseAt.After(now), !other.UseAt.After(now)
	switch {
	case used != otherUsed:
		return used
	case k.UseAt.Equal(other.UseAt):
		return k.ID < other.ID // every process has to say the same
	default:
		return used == k.UseAt.After(other.UseAt)
	}
}

// hasNext reports whether a key comes after the current one.
func hasNext(keys []SigningKey, current SigningKey, now time.Time) bool {
	for _, k := range keys {
		if k.UseAt.After(current.UseAt) && !k.retired(now) {
			return true
		}
	}
	return false
}

// retired reports whether the key verifies nothing any more.
func (k SigningKey) retired(now time.Time) bool { return !k.RetireAt.After(now) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
