package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A tick is what the live part of the page shows.
type tick struct {
	Time    string   `json:"time"`    // of the server, RFC 3339, whole seconds
	Streams int      `json:"streams"` // on the shelf
	Live    []string `json:"live"`    // IDs of those on air, never null
}

// events sends a tick each second (server-sent events) until the client leaves.
func (a *app) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	// A stream outlives the server's write timeout; where none can be set there
	// is none.
	_ = control.SetWriteDeadline(time.Time{})
	fmt.Fprint(w, "retry: 2000\n\n")
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for n := 1; ; n++ {
		if a.sendTick(w, n) != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-every.C:
		}
	}
}

func (a *app) sendTick(w http.ResponseWriter, n int) error {
	all, live := a.streams.onAir()
	data, err := json.Marshal(tick{a.streams.now().UTC().Format(time.RFC3339), all, live})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: tick\ndata: %s\n\n", n, data)
	return err
}
