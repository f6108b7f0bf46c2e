package apikey

import "sync/atomic"

// imported says whether the store has keys that were made elsewhere. While it has
// none, what has not our shape cannot be a key, and the store is not asked.
//
// It is one number, so that an answer counts only if nothing changed while it
// was on its way: the rest of a division by 3 is what is known, and each doubt
// brings it to a number that was never there.
type imported struct{ state atomic.Int64 }

const (
	unasked = iota
	hasNone
	hasSome
	answers
)

func (i *imported) never() bool { return i.state.Load()%answers == hasNone }

// ask returns the answer that is known, or asks for it.
func (i *imported) ask(store func() (bool, error)) (bool, error) {
	before := i.state.Load()
	if known := before % answers; known != unasked {
		return known == hasSome, nil
	}
	has, err := store()
	if err != nil {
		return false, err
	}
	answer := int64(hasNone)
	if has {
		answer = hasSome
	}
	i.state.CompareAndSwap(before, before+answer)
	return has, nil
}

// doubt says that keys may have been imported or removed meanwhile.
func (i *imported) doubt() {
	for {
		s := i.state.Load()
		if i.state.CompareAndSwap(s, s-s%answers+answers) {
			return
		}
	}
}
