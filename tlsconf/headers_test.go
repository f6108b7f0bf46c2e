package tlsconf

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestParseHeaders(t *testing.T) {
	want := http.Header{"X-Frame-Options": {"DENY"}, "Link": {"</a>; rel=preload", "</b>"}, "X-Empty": {""}}
	const lines = "X-Frame-Options: DENY\nlink:</a>; rel=preload\nLink: \t</b>\t \nX-Empty:\n"
	for _, tt := range []struct{ name, file string }{
		{"LF, no blank line at the end", lines},
		{"no newline at the end", strings.TrimSuffix(lines, "\n")},
		{"blank line at the end", lines + "\n"},
		{"CRLF", strings.ReplaceAll(lines, "\n", "\r\n")},
		{"CRLF, blank line at the end", strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n"},
		{"CRLF, bare CR at the end", strings.TrimSuffix(strings.ReplaceAll(lines, "\n", "\r\n"), "\n")},
		{"comments and blank lines", "# one: two\n\n  # three\n \t\n" + strings.ReplaceAll(lines, "\n", "\n\n#\n")},
		{"byte order mark", "\ufeff" + lines},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseHeaders("headers", strings.NewReader(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseHeadersOfAnEmptyFile(t *testing.T) {
	for _, file := range []string{"", "\n", "\r\n", "# nothing"} {
		got, err := ParseHeaders("headers", strings.NewReader(file))
		if err != nil || got == nil || len(got) != 0 {
			t.Errorf("%q: got %v, %v, want an empty header", file, got, err)
		}
	}
}

func TestParseHeadersRefuses(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"no colon", "has no colon"},
		{": no name", `"" is not a header name`},
		{"X-Space : v", `"X-Space " is not a header name`},
		{"X Y: v", `"X Y" is not a header name`},
		{"X-Ü: v", "is not a header name"},
		{"X\x00: v", "is not a header name"},
		{" folded", "continue the line before"},
		{"\tfolded: v", "continue the line before"},
		{"X-A: a\rX-B: b", "the value of X-A holds a control character"},
		{"X-A: a\x00b", "the value of X-A holds a control character"},
		{"X-A: a\x7fb", "the value of X-A holds a control character"},
		{"content-LENGTH: 1", "frames the message"},
		{"Transfer-Encoding: chunked", "frames the message"},
		{"Connection: close", "frames the message"},
		{"Upgrade: h2c", "frames the message"},
		{"Trailer: X", "frames the message"},
		{"Sec-WebSocket-Accept: x", "frames the message"},
		{"Content-Type: text/html", "describes one body"},
		{"Content-Encoding: gzip", "describes one body"},
		{"Allow: GET", "belongs to single answers"},
		{"Date: now", "belongs to single answers"},
		{"Location: /", "belongs to single answers"},
		{"WWW-Authenticate: Basic", "belongs to single answers"},
		{"Wave-Access-Token: x", "wavegate sets itself"},
		{"wave_access_token: x", "wavegate sets itself"},
		{"X-RateLimit-Limit: 1", "wavegate sets itself"},
		{"X-Request-ID: 1", "wavegate sets itself"},
	} {
		_, err := ParseHeaders("headers", strings.NewReader("X-Good: 1\n"+tt.line+"\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "headers:2: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want headers:2: … %s", tt.line, err, tt.want)
		}
	}
}

func TestParseHeadersLeavesTheOperatorTheirChoice(t *testing.T) {
	for _, line := range []string{
		"Strict-Transport-Security: max-age=63072000", "Content-Security-Policy: default-src 'self'", "Content-Language: de",
		"Server: gate", "Set-Cookie: lb=1", "Cache-Control: no-store", "Vary: Origin", "Access-Control-Allow-Origin: *", "X-Wave: 1", "Wavelength: 1", "X-Name: Zoë",
	} {
		if _, err := ParseHeaders("headers", strings.NewReader(line)); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestParseHeadersTellsAllLinesAtOnceButNotWithoutEnd(t *testing.T) {
	_, err := ParseHeaders("headers", strings.NewReader("bad\nX-Good: 1\nDate: x\n\nworse\n"))
	want := "headers:1: has no colon: write \"Name: value\"\n" +
		"headers:3: Date belongs to single answers, so it cannot be the same on every one: remove the line\n" +
		"headers:5: has no colon: write \"Name: value\""
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	_, err = ParseHeaders("headers", strings.NewReader(strings.Repeat("bad\n", 1000)))
	if err == nil || strings.Count(err.Error(), "\n") != maxProblems || !strings.HasSuffix(err.Error(), "headers: 980 more bad lines") {
		t.Errorf("got %v", err)
	}
}

func TestParseHeadersShowsNoValue(t *testing.T) {
	for _, line := range []string{"canary", "X-A: canary\x00", "Date: canary", " canary", "X A: canary"} {
		if _, err := ParseHeaders("headers", strings.NewReader(line)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v, want an error without the value", line, err)
		}
	}
}

func TestParseHeadersIsBounded(t *testing.T) {
	if _, err := ParseHeaders("headers", strings.NewReader("X: "+strings.Repeat("a", maxHeaders-3))); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := ParseHeaders("headers", strings.NewReader("X: "+strings.Repeat("a", maxHeaders-2))); err == nil || !strings.Contains(err.Error(), "larger than 65536 bytes") {
		t.Errorf("over the limit: got %v", err)
	}
	if _, err := ParseHeaders("headers", iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

func TestLoadHeaders(t *testing.T) {
	dir := t.TempDir()
	h, err := LoadHeaders(write(t, dir, "headers.txt", []byte("X-A: 1")))
	if err != nil || h.Get("X-A") != "1" {
		t.Errorf("got %v, %v", h, err)
	}
	bad := write(t, dir, "bad.txt", []byte("bad"))
	if _, err := LoadHeaders(bad); err == nil || !strings.Contains(err.Error(), "--http-headers-file: "+bad+":1: has no colon") {
		t.Errorf("got %v, want flag, file and line", err)
	}
	if _, err := LoadHeaders(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "--http-headers-file "+filepath.Join(dir, "none")) {
		t.Errorf("got %v, want flag and file", err)
	}
}

// FuzzParseHeaders checks that headers which pass reach a client of net/http as
// they are: nothing more, nothing less.
func FuzzParseHeaders(f *testing.F) {
	for _, seed := range []string{
		"X-Frame-Options: DENY\n", "A: 1\r\nA: 2\r\n\r\n", "# c\n\nX-A:", "X: a\rb", "X: \x80\xff", " fold\n", "Content-Length: 5\n",
		"\ufeffSet-Cookie: a=b; Path=/", "X!#$%&'*+-.^_`|~: v", "trailer: X", "X:\t\ta\tb\t",
	} {
		f.Add([]byte(seed))
	}
	srv := &echoServer{}
	url := srv.start(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		want, err := ParseHeaders("headers", strings.NewReader(string(file)))
		if err != nil {
			if want != nil {
				t.Error("headers beside an error")
			}
			return
		}
		srv.extra = want
		resp, err := srv.client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "body" || resp.StatusCode != http.StatusOK {
			t.Fatalf("got %d %q, %v", resp.StatusCode, body, err)
		}
		for _, own := range []string{"Date", "Content-Length", "Content-Type"} {
			resp.Header.Del(own)
		}
		if diff := cmp.Diff(want, resp.Header); diff != "" {
			t.Errorf("(-sent +received)\n%s", diff)
		}
	})
}

// echoServer answers with extra, over one connection at a time.
type echoServer struct {
	extra  http.Header
	client *http.Client
}

func (e *echoServer) start(f *testing.F) (url string) {
	f.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	tr := &http.Transport{}
	e.client = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), e.extra)
		io.WriteString(w, "body")
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l)
	}()
	f.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}
