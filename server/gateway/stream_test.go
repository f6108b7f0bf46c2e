package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

func TestEventsArriveAsTheyAreSent(t *testing.T) {
	for name, header := range map[string]http.Header{
		"SSE":            {"Content-Type": {"text/event-stream; charset=utf-8"}},
		"unknown length": {"Content-Type": {"application/octet-stream"}},
	} {
		next := make(chan bool)
		up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			maps.Copy(w.Header(), header)
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n", i)
				http.NewResponseController(w).Flush()
				<-next
			}
		})
		f := newFront(t, frontConfig{policy: route(up.URL)})
		resp, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 3 { // each is read before the next is sent
			if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%s: got %q %v", name, line, err)
			}
			next <- true
		}
		resp.Body.Close()
	}
}

func TestAnswersBeginBeforeTheirBodies(t *testing.T) {
	release := make(chan bool)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-release
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	resp, err := http.Get(f.URL) // returns when the head is there
	if err != nil {
		t.Fatal(err)
	}
	close(release)
	resp.Body.Close()
}

func TestTrailersPassInBothDirections(t *testing.T) {
	got := make(chan http.Header, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got <- r.Trailer.Clone()
		w.Header().Set("Trailer", "X-Announced")
		io.WriteString(w, "body")
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Surprise", "2")
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	r, err := http.NewRequestWithContext(t.Context(), "POST", f.URL, io.MultiReader(strings.NewReader("x"))) // chunked
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Sum": {"abc"}}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if diff := cmp.Diff(http.Header{"X-Announced": {"1"}, "X-Surprise": {"2"}}, resp.Trailer); diff != "" {
		t.Errorf("answer: %s", diff)
	}
	if diff := cmp.Diff(http.Header{"X-Sum": {"abc"}}, waitFor(t, got)); diff != "" {
		t.Errorf("request: %s", diff)
	}
}

func TestInformationalAnswersPass(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</s.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		io.WriteString(w, "done")
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	var codes []int
	var links []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		codes, links = append(codes, code), append(links, h.Get("Link"))
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, "GET", f.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if len(codes) != 1 || codes[0] != 103 || links[0] != "</s.css>; rel=preload" || string(body) != "done" {
		t.Errorf("got %v %v %q", codes, links, body)
	}
}

func TestUploadsWaitForTheUpstreamsContinue(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Errorf("Expect: %q", r.Header.Get("Expect"))
		}
		w.WriteHeader(http.StatusExpectationFailed) // without reading the body
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	resp, _ := f.raw(t, "PUT / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
	if resp.StatusCode != http.StatusExpectationFailed {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestAnswersMayBeginBeforeTheBodyEnds(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		rc.Flush()
		for lines := bufio.NewReader(r.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(w, line)
			rc.Flush()
		}
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	body, send := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", f.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 100 {
		want := fmt.Sprintf("line %d\n", i)
		io.WriteString(send, want)
		if line, err := lines.ReadString('\n'); err != nil || line != want {
			t.Fatalf("got %q %v, want %q", line, err, want)
		}
	}
	send.Close()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("got %q %v", rest, err)
	}
}

// zeros is n bytes of nothing.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

func TestLargeBodiesPassInConstantMemory(t *testing.T) {
	const size = 1 << 29 // in each direction
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if n != size || err != nil {
			t.Errorf("upstream got %d bytes, %v", n, err)
		}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		io.Copy(w, zeros(size))
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := http.NewRequestWithContext(t.Context(), "POST", f.URL, zeros(size))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = size
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("client got %d bytes, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	// Everything that was ever allocated, whether it was freed or not.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("1 GB cost %d MB of allocations", grown>>20)
	}
}

func TestStreamsThatStandStillEndAfterTheIdleTimeout(t *testing.T) {
	cancelled := make(chan bool, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 5 { // slower than at once, faster than the timeout
			fmt.Fprintln(w, i)
			http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		<-r.Context().Done()
		cancelled <- true
	})
	f := newFront(t, frontConfig{policy: route(up.URL, "idle_timeout: 1s")})
	resp, err := http.Get(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil || string(body) != "0\n1\n2\n3\n4\n" {
		t.Errorf("got %q %v", body, err)
	}
	waitFor(t, cancelled)
}

func TestStreamsEndWithTheirCredential(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	f := newFront(t, frontConfig{policy: route(up.URL), who: func(*http.Request) *identity.Principal {
		return &identity.Principal{Method: identity.MethodSession, Ended: ended}
	}})
	resp, err := http.Get(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" || err != nil {
		t.Fatalf("got %q %v", line, err)
	}
	end()
	if _, err := lines.ReadString('\n'); err == nil {
		t.Error("the stream ended as if it were whole")
	}
}
