package session_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"wavegate/server/session"

	"github.com/google/go-cmp/cmp"
)

const (
	one   = "ABCDEFGHIJKLMNOPQRSTUVWX23"
	other = "ZBCDEFGHIJKLMNOPQRSTUVWX23"
)

func TestReadSession(t *testing.T) {
	for _, c := range []struct {
		lines []string
		plain string // what is read on http
		https string
	}{
		{nil, "", ""},
		{[]string{""}, "", ""},
		{[]string{"wavegate=" + one}, one, ""},
		{[]string{"__Host-wavegate=" + one}, "", one},
		{[]string{"a=b; wavegate=" + one + "; c=d"}, one, ""},
		{[]string{"a=b", "__Host-wavegate=" + one, "c"}, "", one},
		{[]string{"a=b;__Host-wavegate=" + one + ";;"}, "", one},
		{[]string{"wavegate=" + other + "; __Host-wavegate=" + one}, other, one}, // a planted one beside ours
		{[]string{"wavegate=" + one + "; wavegate=" + one}, "", ""},
		{[]string{"wavegate=" + one, "wavegate=" + other}, "", ""},
		{[]string{"__Host-wavegate=" + one + "; __Host-wavegate=" + other}, "", ""},
		{[]string{"__Host-wavegate=; __Host-wavegate=" + one}, "", ""},
		{[]string{"wavegate=\"" + one + "\""}, "", ""},
		{[]string{"wavegate =" + one}, "", ""},
		{[]string{"wavegate= " + one}, "", ""},
		{[]string{"Wavegate=" + one}, "", ""},
		{[]string{"__host-wavegate=" + one}, "", ""},
		{[]string{"xwavegate=" + one}, "", ""},
		{[]string{"wavegate-login-abc=" + one}, "", ""},
		{[]string{"wavegate=" + strings.ToLower(one)}, "", ""},
		{[]string{"wavegate=" + one + "A"}, "", ""},
		{[]string{"wavegate=" + one[1:]}, "", ""},
		{[]string{"wavegate=" + one[1:] + "\x00"}, "", ""},
		{[]string{"wavegate=" + strings.Repeat("A", 100<<10)}, "", ""},
		{[]string{"wavegate"}, "", ""},
		{[]string{"wavegate="}, "", ""},
	} {
		h := http.Header{"Cookie": c.lines}
		if got := session.ReadSession(h, false); got != c.plain {
			t.Errorf("on http %.80q is %q, want %q", c.lines, got, c.plain)
		}
		if got := session.ReadSession(h, true); got != c.https {
			t.Errorf("on https %.80q is %q, want %q", c.lines, got, c.https)
		}
	}
}

func TestReadSessionAllocatesNothing(t *testing.T) {
	h := http.Header{"Cookie": {"theme=dark; __Host-wavegate=" + one + "; lang=en"}}
	if n := testing.AllocsPerRun(100, func() { session.ReadSession(h, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCookieBytes holds the literal lines.
func TestCookieBytes(t *testing.T) {
	lines := func(f func(http.Header)) []string {
		h := http.Header{}
		f(h)
		return h["Set-Cookie"]
	}
	for name, c := range map[string]struct{ got, want []string }{
		"set on https": {
			lines(func(h http.Header) { session.SetSession(h, true, one, 720*time.Hour) }),
			[]string{"__Host-wavegate=" + one + "; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"},
		},
		"set on http": {
			lines(func(h http.Header) { session.SetSession(h, false, one, time.Hour) }),
			[]string{"wavegate=" + one + "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"},
		},
		"cleared on https": {
			lines(func(h http.Header) { session.ClearSession(h, true) }),
			[]string{
				"__Host-wavegate=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
				"wavegate=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
			},
		},
		"cleared on http": {
			lines(func(h http.Header) { session.ClearSession(h, false) }),
			[]string{"wavegate=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"},
		},
		"attempt on https": {
			lines(func(h http.Header) { session.SetAttempt(h, nil, true, "STATE", "value", session.KeepAttempt) }),
			[]string{"__Host-wavegate-login-ff70929b82ea=value; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax"},
		},
		"attempt on http": {
			lines(func(h http.Header) { session.SetAttempt(h, nil, false, "STATE", "value", session.KeepAttempt) }),
			[]string{"wavegate-login-ff70929b82ea=value; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"},
		},
		"attempt cleared": {
			lines(func(h http.Header) { session.ClearAttempt(h, true, "STATE") }),
			[]string{"__Host-wavegate-login-ff70929b82ea=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		},
		"the last word counts, once": {
			lines(func(h http.Header) {
				h.Add("Set-Cookie", "app=1")
				session.SetAttempt(h, nil, true, "STATE", "value", session.KeepAttempt)
				session.ClearAttempt(h, true, "STATE")
				session.SetAttempt(h, nil, true, "STATE", "again", session.KeepAttempt)
			}),
			[]string{"app=1", "__Host-wavegate-login-ff70929b82ea=again; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax"},
		},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := session.CookieNames(); strings.Join(got, " ") != "__Host-wavegate wavegate __Host-wavegate-login-* wavegate-login-*" {
		t.Errorf("names %q", got)
	}
}

func TestReadAttempt(t *testing.T) {
	const name = "wavegate-login-ff70929b82ea"
	for _, c := range []struct{ cookies, plain, https string }{
		{"", "", ""},
		{name + "=v", "v", ""},
		{"__Host-" + name + "=v", "", "v"},
		{name + "=planted; __Host-" + name + "=v", "planted", "v"},
		{name + "=v; " + name + "=w", "", ""},
		{"wavegate-login-000000000000=v", "", ""},
		{name + "=" + strings.Repeat("A", 4000), strings.Repeat("A", 4000), ""},
		{name + "=" + strings.Repeat("A", 4001), "", ""},
	} {
		h := http.Header{"Cookie": {c.cookies}}
		if got := session.ReadAttempt(h, false, "STATE"); got != c.plain {
			t.Errorf("on http %.60q is %.60q", c.cookies, got)
		}
		if got := session.ReadAttempt(h, true, "STATE"); got != c.https {
			t.Errorf("on https %.60q is %.60q", c.cookies, got)
		}
	}
}

// TestManyTabsNeverFillTheHeader begins logins in many tabs of one browser, as
// one that comes back with all of them does.
func TestManyTabsNeverFillTheHeader(t *testing.T) {
	for _, size := range []int{300, 3900} {
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session.SetAttempt(w.Header(), r.Header, true, r.URL.Query().Get("state"), strings.Repeat("v", size), session.KeepAttempt)
		}))
		defer srv.Close()
		jar, err := cookiejar.New(nil)
		must(t, err)
		client := srv.Client()
		client.Jar = jar
		u, err := url.Parse(srv.URL)
		must(t, err)
		for i := range 50 {
			res, err := client.Get(fmt.Sprintf("%s/?state=s%d", srv.URL, i))
			must(t, err)
			res.Body.Close()
			bytes, newest := 0, false
			for _, c := range jar.Cookies(u) {
				bytes += len(c.Name) + len(c.Value) + 3
			}
			r := &http.Request{Header: http.Header{}}
			for _, c := range jar.Cookies(u) {
				r.AddCookie(c)
			}
			newest = session.ReadAttempt(r.Header, true, fmt.Sprint("s", i)) != ""
			if n := len(jar.Cookies(u)); n > 8 || bytes > 17<<10 || !newest {
				t.Fatalf("after %d tabs the browser has %d attempts of %d bytes (the newest: %v)", i+1, n, bytes, newest)
			}
			if i > 0 && size < 1000 && session.ReadAttempt(r.Header, true, fmt.Sprint("s", i-1)) == "" {
				t.Fatalf("tab %d cannot finish after tab %d began", i-1, i)
			}
		}
	}
}

func TestForeignCookiesAreLeftAlone(t *testing.T) {
	var in []string
	for i := range 20 {
		in = append(in, fmt.Sprintf("__Host-wavegate-login-app%d=v", i), fmt.Sprintf("wavegate-login-%012x=v", i), fmt.Sprintf("__Host-wavegate-login-00000000000%c=v", 'g'+i%3))
	}
	out := http.Header{}
	session.SetAttempt(out, http.Header{"Cookie": {strings.Join(in, "; ")}}, true, "STATE", "v", session.KeepAttempt)
	if n := len(out["Set-Cookie"]); n != 1 {
		t.Errorf("%d cookies were set: %q", n, out["Set-Cookie"])
	}
	in = nil
	for i := range 1000 {
		in = append(in, fmt.Sprintf("__Host-wavegate-login-%012x=", i))
	}
	session.SetAttempt(out, http.Header{"Cookie": {strings.Join(in, "; ")}}, true, "STATE", "v", session.KeepAttempt)
	if n := len(out["Set-Cookie"]); n > 100 {
		t.Errorf("one request of a stranger makes %d lines", n)
	}
}

// FuzzReadSession compares with net/http, which is more lenient and never reads
// a session where we read another one.
func FuzzReadSession(f *testing.F) {
	f.Add("wavegate="+one, "a=b")
	f.Add("a=b; __Host-wavegate="+one+"; wavegate=x", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		h := http.Header{"Cookie": {a, b}}
		r := &http.Request{Header: h}
		for _, https := range []bool{false, true} {
			got := session.ReadSession(h, https)
			if got == "" {
				continue
			}
			name := map[bool]string{false: "wavegate", true: "__Host-wavegate"}[https]
			c, err := r.Cookie(name)
			if err != nil || c.Value != got || len(got) != 26 {
				t.Errorf("%q is %q, net/http reads %v, %v", h, got, c, err)
			}
			if n := len(r.CookiesNamed(name)); n != 1 {
				t.Errorf("%q is %q, net/http reads %d cookies", h, got, n)
			}
		}
	})
}
