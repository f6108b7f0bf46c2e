package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wavegate/server/audit"
)

// secret is the nth secret of the tests.
func secret(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 32) }

func newChain(t interface{ Fatal(...any) }, secrets ...[]byte) *audit.Chain {
	c, err := audit.NewChain(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sealed makes a log of some entries behind an anchor.
func sealed(c *audit.Chain, anchorSeq int64, anchor []byte, all []audit.Entry) []audit.Entry {
	log := slices.Clone(all)
	for i := range log {
		log[i] = log[i].Clean()
		log[i].Seq = anchorSeq + int64(i) + 1
		c.Seal(anchor, &log[i])
		anchor = log[i].Hash
	}
	return log
}

func seq(log []audit.Entry) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, e := range log {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func some(n int) []audit.Entry {
	all := make([]audit.Entry, n)
	for i := range all {
		all[i] = audit.Entry{
			At: start.Add(time.Duration(i) * time.Second), Actor: "sub:ann", Method: "session", IP: "192.0.2.1", RequestID: fmt.Sprint("r", i),
			Action: "key.create", Target: fmt.Sprint("key_", i), Owner: "sub:ann", Outcome: "ok", Details: map[string]string{"name": "ci"},
		}
	}
	return all
}

func TestNewChainRefusesWeakSecrets(t *testing.T) {
	for name, secrets := range map[string][][]byte{"none": nil, "short": {secret(1), secret(2)[:31]}, "empty": {nil}} {
		if _, err := audit.NewChain(secrets); err == nil {
			t.Errorf("%s: a chain", name)
		}
	}
}

// TestChainNeverShowsItsKeys looks for any byte that is not in the two words.
func TestChainNeverShowsItsKeys(t *testing.T) {
	c := newChain(t, secret(1))
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(format, c) + fmt.Sprintf(format, *c); len(got) > 40 || !strings.Contains(got, "audit chain") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// TestOldSecretsVerifyAndNewOnesSeal adds a line before and takes the last away.
func TestOldSecretsVerifyAndNewOnesSeal(t *testing.T) {
	old, both, young := newChain(t, secret(1)), newChain(t, secret(2), secret(1)), newChain(t, secret(2))
	log := sealed(old, 0, nil, some(3))
	more := sealed(both, 3, log[2].Hash, some(3))
	if more[0].HashBy == log[0].HashBy {
		t.Error("the new secret does not seal")
	}
	_, err := audit.Verify(both, 0, nil, seq(slices.Concat(log, more)))
	must(t, err)
	_, err = audit.Verify(young, 3, log[2].Hash, seq(more))
	must(t, err)
	r, err := audit.Verify(young, 0, nil, seq(log))
	if !errors.Is(err, audit.ErrUnknownSecret) || r.Bad != 1 || r.Checked != 0 {
		t.Errorf("without the old secret: %+v, %v", r, err)
	}
	st := audit.State{LastSeq: 3, LastHash: log[2].Hash}
	old.SealState(&st)
	must(t, both.CheckState(&st))
	if err := young.CheckState(&st); !errors.Is(err, audit.ErrUnknownSecret) {
		t.Errorf("state without the old secret: %v", err)
	}
}

func TestVerifyReports(t *testing.T) {
	c := newChain(t, secret(1))
	log := sealed(c, 100, []byte("anchor"), some(10))
	broken := errors.New("broken pipe")
	without := func(i int) []audit.Entry { return slices.Delete(slices.Clone(log), i, i+1) }
	twice := slices.Insert(slices.Clone(log), 5, log[4])
	forked := slices.Clone(log) // another entry was sealed behind the same one
	forked[5].Target = "key_evil"
	c.Seal(log[4].Hash, &forked[5])
	forged := slices.Clone(log) // by somebody with another secret, who renamed it
	forged[9].Target = "key_evil"
	newChain(t, secret(2)).Seal(log[8].Hash, &forged[9])
	forged[9].HashBy = log[9].HashBy
	for _, tt := range []struct {
		name    string
		entries iter.Seq2[audit.Entry, error]
		checked int64
		bad     int64
		err     error
	}{
		{"whole", seq(log), 10, 0, nil},
		{"none", seq(nil), 0, 0, nil},
		{"the first is missing", seq(without(0)), 0, 101, audit.ErrMissing},
		{"one is missing", seq(without(4)), 4, 105, audit.ErrMissing},
		{"the last is missing", seq(log[:9]), 9, 0, nil},
		{"one comes twice", seq(twice), 5, 105, audit.ErrOrder},
		{"a fork", seq(forked), 6, 107, audit.ErrChanged},
		{"a forged end", seq(forged), 9, 110, audit.ErrChanged},
		{"unreadable", func(yield func(audit.Entry, error) bool) {
			_ = yield(log[0], nil) && yield(audit.Entry{}, broken)
		}, 1, 0, broken},
	} {
		r, err := audit.Verify(c, 100, []byte("anchor"), tt.entries)
		if r.Checked != tt.checked || r.Bad != tt.bad || !errors.Is(err, tt.err) || r.Last != 100+tt.checked {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
		if tt.checked > 0 && tt.name != "a fork" && !bytes.Equal(r.Hash, log[tt.checked-1].Hash) {
			t.Errorf("%s: another hash", tt.name)
		}
	}
	if _, err := audit.Verify(c, 100, []byte("other"), seq(log)); !errors.Is(err, audit.ErrChanged) {
		t.Errorf("another anchor: %v", err)
	}
}

// changes are all that can be done to one entry.
var changes = map[string]func(*audit.Entry){
	"seq":            func(e *audit.Entry) { e.Seq += 7 },
	"seq back":       func(e *audit.Entry) { e.Seq-- },
	"at":             func(e *audit.Entry) { e.At = e.At.Add(time.Millisecond) },
	"actor":          func(e *audit.Entry) { e.Actor += "x" },
	"method":         func(e *audit.Entry) { e.Method += "x" },
	"ip":             func(e *audit.Entry) { e.IP += "x" },
	"request":        func(e *audit.Entry) { e.RequestID += "x" },
	"action":         func(e *audit.Entry) { e.Action += "x" },
	"target":         func(e *audit.Entry) { e.Target += "x" },
	"owner":          func(e *audit.Entry) { e.Owner += "x" },
	"outcome":        func(e *audit.Entry) { e.Outcome += "x" },
	"count":          func(e *audit.Entry) { e.Count++ },
	"hash":           func(e *audit.Entry) { e.Hash = append([]byte{e.Hash[0] ^ 1}, e.Hash[1:]...) },
	"shorter hash":   func(e *audit.Entry) { e.Hash = e.Hash[:31] },
	"no hash":        func(e *audit.Entry) { e.Hash = nil },
	"hash by":        func(e *audit.Entry) { e.HashBy += "x" },
	"no hash by":     func(e *audit.Entry) { e.HashBy = "" },
	"another secret": func(e *audit.Entry) { e.HashBy = otherName },
	"detail more": func(e *audit.Entry) {
		e.Details = map[string]string{"new": "x"}
		for range e.Count { // of any number
			e.Details[fmt.Sprint(len(e.Details))] = ""
		}
	},
	"text moved": func(e *audit.Entry) { e.Actor, e.Method = e.Actor+"a", "a"+e.Method },
}

// otherName is the HashBy of a secret that verifies too.
var otherName = func() string {
	c, err := audit.NewChain([][]byte{secret(2)})
	if err != nil {
		return err.Error()
	}
	var e audit.Entry
	c.Seal(nil, &e)
	return e.HashBy
}()

// TestAnyChangeIsFound changes, removes, swaps and doubles entries of logs of any
// content.
func TestAnyChangeIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newChain(t, secret(1), secret(2))
		log := sealed(c, 0, nil, rapid.SliceOfN(entries, 2, 6).Draw(t, "entries"))
		if _, err := audit.Verify(c, 0, nil, seq(log)); err != nil {
			t.Fatal(err)
		}
		what := rapid.SampledFrom([]string{"change", "remove", "swap", "double", "swap contents"}).Draw(t, "what")
		last := len(log) - 1
		if what == "remove" { // a log that ends earlier is found by its state
			last--
		}
		i := rapid.IntRange(0, last).Draw(t, "which")
		j := rapid.IntRange(0, len(log)-1).Draw(t, "other")
		if strings.HasPrefix(what, "swap") {
			j = (i + rapid.IntRange(1, len(log)-1).Draw(t, "apart")) % len(log)
		}
		bad := slices.Clone(log)
		switch what {
		case "change":
			names := make([]string, 0, len(changes))
			for name := range changes {
				names = append(names, name)
			}
			slices.Sort(names)
			changes[rapid.SampledFrom(names).Draw(t, "change")](&bad[i])
		case "remove":
			bad = slices.Delete(bad, i, i+1)
		case "swap":
			bad[i], bad[j] = bad[j], bad[i]
		case "swap contents": // all but the place in the chain
			bad[i], bad[j] = bad[j], bad[i]
			bad[i].Seq, bad[j].Seq = log[i].Seq, log[j].Seq
		case "double":
			bad = slices.Insert(bad, j, log[i])
		}
		r, err := audit.Verify(c, 0, nil, seq(bad))
		if err == nil || r.Bad == 0 || r.Checked > int64(max(i, j)+1) {
			t.Fatalf("%s was not found: %+v, %v", what, r, err)
		}
	})
}

// TestDetailsCannotMoveBetweenNames: {"a": "bc"} is not {"ab": "c"}.
func TestDetailsCannotMoveBetweenNames(t *testing.T) {
	c := newChain(t, secret(1))
	e := audit.Entry{Seq: 1, Details: map[string]string{"a": "bc", "d": ""}}
	c.Seal(nil, &e)
	for _, details := range []map[string]string{{"ab": "c", "d": ""}, {"a": "bc"}, {"a": "", "d": "bc"}, {"a": "bcd", "": ""}, nil} {
		e.Details = details
		if err := c.Check(nil, &e); !errors.Is(err, audit.ErrChanged) {
			t.Errorf("%v: %v", details, err)
		}
	}
}

func TestAnyChangeOfTheStateIsFound(t *testing.T) {
	c := newChain(t, secret(1))
	must(t, c.CheckState(&audit.State{}))
	for name, change := range map[string]func(*audit.State){
		"anchor":      func(s *audit.State) { s.AnchorSeq++ },
		"anchor hash": func(s *audit.State) { s.AnchorHash = nil },
		"last":        func(s *audit.State) { s.LastSeq-- },
		"last hash":   func(s *audit.State) { s.LastHash = []byte("b") },
		"moved":       func(s *audit.State) { s.AnchorHash, s.LastHash = []byte("al"), []byte("ast") },
		"seal":        func(s *audit.State) { s.Seal = nil },
		"no seal":     func(s *audit.State) { s.Seal, s.SealedBy = nil, "" },
		"begun again": func(s *audit.State) { s.LastSeq, s.AnchorSeq = 0, 0 },
	} {
		s := audit.State{AnchorSeq: 3, AnchorHash: []byte("a"), LastSeq: 9, LastHash: []byte("last")}
		c.SealState(&s)
		must(t, c.CheckState(&s))
		change(&s)
		if c.CheckState(&s) == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

// TestEntriesAndStatesDoNotPassForEachOther seals both over the same bytes.
func TestEntriesAndStatesDoNotPassForEachOther(t *testing.T) {
	c := newChain(t, secret(1))
	var e audit.Entry
	c.Seal(nil, &e)
	s := audit.State{LastSeq: 1, Seal: e.Hash, SealedBy: e.HashBy}
	if err := c.CheckState(&s); !errors.Is(err, audit.ErrChanged) {
		t.Error(err)
	}
}
