package server

import (
	"container/list"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/policy"
)

const (
	refusalsOfKey    = 20    // that are remembered of one key: the latest
	refusedKeys      = 2_000 // of which refusals are remembered
	maxRefusalMethod = 20    // bytes; methods are the client's choice
	maxRefusalText   = 256   // bytes of a path, a message, or what would have done
)

// A keyRefusal is a request that came with a key and was refused. Neither the key nor
// the query is in it.
type keyRefusal struct {
	at            time.Time
	method, path  string
	route         string // as in usage
	status        int
	code, message string
	need          []string // what would have done; nil: nothing that could be named
	ip            string   // "" for none
}

// keyRefusals remembers the latest refusals of keys that there are, so that their
// owners see why. They are of this process, and gone when it ends. Nothing here is
// touched by a request that was let in.
type keyRefusals struct {
	mu    sync.Mutex               // guards the rest
	byKey map[string]*list.Element // of *refusedKey
	keys  list.List                // the one refused last in front
}

// A refusedKey is a ring of refusals, which grows to refusalsOfKey.
type refusedKey struct {
	id   string
	ring []keyRefusal
	next int // place of the oldest, once it is full
}

// add remembers a refusal. Where there are too many keys, the one that was not
// refused for the longest time is forgotten.
func (k *keyRefusals) add(keyID string, r keyRefusal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byKey == nil {
		k.byKey = map[string]*list.Element{}
	}
	e := k.byKey[keyID]
	if e == nil {
		if len(k.byKey) >= refusedKeys {
			delete(k.byKey, k.keys.Remove(k.keys.Back()).(*refusedKey).id)
		}
		e = k.keys.PushFront(&refusedKey{id: keyID})
		k.byKey[keyID] = e
	}
	k.keys.MoveToFront(e)
	of := e.Value.(*refusedKey)
	if len(of.ring) < refusalsOfKey {
		of.ring = append(of.ring, r)
		return
	}
	of.ring[of.next] = r
	of.next = (of.next + 1) % refusalsOfKey
}

// of returns what is remembered of a key, the latest first.
func (k *keyRefusals) of(keyID string) []keyRefusal {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.byKey[keyID]
	if e == nil {
		return nil
	}
	of := e.Value.(*refusedKey)
	all := slices.Concat(of.ring[of.next:], of.ring[:of.next])
	slices.Reverse(all)
	return all
}

// noteKeyRefusal remembers a refusal of a key, and notices when there are many.
func (s *Server) noteKeyRefusal(ex *exchange, rec *apikey.Record, route string) {
	if s.suspicions.refused(rec.ID, ex.start) {
		s.suspect(ex, rec, suspicionRefusals)
	}
	if ex.fault.Status == gateway.StatusClientGone {
		return // nobody refused it
	}
	s.keyRefusals.add(rec.ID, refusalOf(ex, ex.fault, route))
}

func refusalOf(ex *exchange, e *fault.Error, route string) keyRefusal {
	r := keyRefusal{
		at: ex.start, method: cut(ex.method, maxRefusalMethod), path: cut(clip(ex.Path), maxRefusalText), route: route,
		status: e.Status, code: e.Code, message: cut(clip(e.Message), maxRefusalText), ip: addrString(ex),
	}
	for _, need := range e.Need {
		if len(r.need) == refusalsOfKey {
			break
		}
		r.need = append(r.need, cut(need, maxRefusalText))
	}
	return r
}

// cut is a text of at most so many bytes, in memory of its own, so that what it was
// cut from can go.
func cut(text string, most int) string {
	if len(text) <= most {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// A keyRefusalView is a refusal as the API shows it.
type keyRefusalView struct {
	Time    string   `json:"time"`
	Method  string   `json:"method"`
	Path    string   `json:"path"`
	Route   string   `json:"route"`
	Status  int      `json:"status"`
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Need    []string `json:"need"`
	IP      *string  `json:"ip"`
}

// listKeyRefusals says which of a key's latest requests were refused by this process,
// and why.
func (s *Server) listKeyRefusals(ex *exchange, r *http.Request) error {
	a, err := s.asker(ex, r, policy.ReadKeys)
	if err != nil {
		return err
	}
	rec, err := s.keyService().find(ex.ctx, a.apiCaller, ex.args[0])
	if err != nil {
		return err
	}
	views := []keyRefusalView{}
	for _, r := range s.keyRefusals.of(rec.ID) {
		views = append(views, keyRefusalView{
			rfc3339(r.at), r.method, r.path, r.route, r.status, r.code, r.message, append([]string{}, r.need...), orNull(r.ip),
		})
	}
	return writeJSON(ex, http.StatusOK, map[string][]keyRefusalView{"refusals": views})
}
