package audit

import (
	"fmt"
	"iter"
)

// A Report is what a walk along the chain found.
type Report struct {
	Checked int64  // entries that are as they were written
	Last    int64  // sequence number of the last of them, or of the anchor
	Hash    []byte // of that entry
	Bad     int64  // sequence number of the first that is changed, missing or out of order; 0 for none
}

// Verify walks along all entries behind an anchor, the oldest first. Its error
// wraps ErrChanged, ErrUnknownSecret, ErrMissing or ErrOrder, where Bad says which
// entry, or what reading them failed with. That the newest entries are missing
// shows in the report alone: compare Last with the State.
func Verify(chain *Chain, anchorSeq int64, anchorHash []byte, entries iter.Seq2[Entry, error]) (Report, error) {
	r := Report{Last: anchorSeq, Hash: anchorHash}
	for e, err := range entries {
		if err != nil {
			return r, fmt.Errorf("read the audit log: %w", err)
		}
		switch next := r.Last + 1; {
		case e.Seq > next:
			r.Bad, err = next, ErrMissing
		case e.Seq < next:
			r.Bad, err = max(e.Seq, 1), ErrOrder // 0 is nobody's number, whatever somebody wrote
		default:
			if err = chain.Check(r.Hash, &e); err != nil {
				r.Bad = e.Seq
			}
		}
		if err != nil {
			return r, fmt.Errorf("entry %d of the audit log: %w", r.Bad, err)
		}
		r.Checked++
		r.Last, r.Hash = e.Seq, e.Hash
	}
	return r, nil
}
