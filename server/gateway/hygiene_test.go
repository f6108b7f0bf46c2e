package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

// hostile are headers with which a client could pass for somebody else.
func hostile() []string {
	return []string{
		"Wave-Subject-ID", "wave-subject-id", "WAVE-USERNAME", "Wave_Email", "wave_groups", "Wave-Scopes", "Wave.Subject.Id", "Wave-Assertion",
		"Wave-Access-Token", "Wave_Refresh-Token", "Wave-Whatever", "wave-client_id",
		"Remote-User", "remote_user", "REMOTE-GROUPS", "Remote_Email", "Remote-Name",
		"X-Auth-Request-User", "x_auth_request_email", "X-Auth-Request-Access-Token",
		"X-Forwarded-User", "X_Forwarded_Groups", "x-forwarded-email", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token",
		"X-Remote-User", "X_Remote-Group", "X-WebAuth-User", "X-WEBAUTH_USER",
		"X-Forwarded-For", "x_forwarded_for", "X-Forwarded-Proto", "X-Forwarded_Host", "X-Forwarded-Ssl", "Forwarded", "forwarded",
		"X-Real-IP", "X_Real_IP", "X-Client-IP", "True-Client-IP", "Client_IP", "CF-Connecting-IP",
		"X-Original-URL", "X_Original_URI", "X-Original-Host", "X-Rewrite-URL", "x_rewrite_url", "Proxy", "HTTP2-Settings",
	}
}

func TestIdentityHeadersFromOutsideAreRemovedInEverySpelling(t *testing.T) {
	for _, who := range []*identity.Principal{nil, alice()} { // nil: on public routes too
		up := newRawUpstream(t)
		f := newFront(t, frontConfig{policy: route(up.url), who: func(*http.Request) *identity.Principal { return who }})
		for _, name := range hostile() {
			f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"+name+": canary\r\nX-Plain: kept\r\n\r\n")
			head := up.head(t)
			if strings.Contains(head, "canary") {
				t.Errorf("%s reached the upstream:\n%s", name, head)
			}
			if !strings.Contains(head, "X-Plain: kept\r\n") {
				t.Errorf("%s took X-Plain with it:\n%s", name, head)
			}
		}
	}
}

func TestClientsCannotDropOurHeadersThroughConnection(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url), who: func(*http.Request) *identity.Principal { return alice() }})
	f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\n"+
		"Connection: close, Wave-Subject-ID, wave-email, X-Forwarded-For, X-Forwarded-Proto, Wave_Groups, X-Real-IP\r\n"+
		"Wave-Subject-ID: canary\r\nWave_Groups: canary\r\n\r\n")
	head := up.head(t)
	for _, want := range []string{"Wave-Subject-ID: u-1\r\n", "Wave-Email: alice@example.com\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Real-IP: 127.0.0.1\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("%q is missing:\n%s", want, head)
		}
	}
	if strings.Contains(head, "canary") {
		t.Errorf("a planted header passed:\n%s", head)
	}
}

func TestTrailersCarryNoIdentity(t *testing.T) {
	trailers := make(chan http.Header, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Body.Read(make([]byte, 100)); err == nil {
			r.Body.Read(make([]byte, 100))
		}
		trailers <- r.Trailer
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	f.raw(t, "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Wave-Subject-Id, Wave_email\r\n\r\n"+
		"2\r\nhi\r\n0\r\nX-Sum: 7\r\nWave-Subject-Id: canary\r\nWave_email: canary\r\n\r\n")
	if diff := cmp.Diff(http.Header{"X-Sum": {"7"}}, waitFor(t, trailers)); diff != "" {
		t.Error(diff)
	}
}

func TestForwardedHeadersAreWrittenAnew(t *testing.T) {
	const headers = "X-Forwarded-For: 1.2.3.4, 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: pub.test\r\n" +
		"X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /outer\r\nX-Forwarded-Uri: /evil\r\nForwarded: for=1.2.3.4\r\n"
	for _, c := range []struct {
		trusted    string
		want, gone []string
	}{
		{
			"",
			[]string{"X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: app.test\r\n", "Host: app.test\r\n"},
			[]string{"1.2.3.4", "203.0.113.9", "443", "outer", "evil", "pub.test"},
		},
		{
			"127.0.0.0/8",
			[]string{"X-Forwarded-For: 203.0.113.9\r\n", "X-Forwarded-Proto: https\r\n", "X-Forwarded-Host: pub.test\r\n", "X-Forwarded-Port: 443\r\n", "X-Forwarded-Prefix: /outer\r\n", "Host: pub.test\r\n"},
			[]string{"1.2.3.4", "evil", "\r\nForwarded"},
		},
	} {
		up := newRawUpstream(t)
		f := newFront(t, frontConfig{policy: route(up.url), trusted: c.trusted})
		f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"+headers+"\r\n")
		head := up.head(t)
		for _, want := range c.want {
			if !strings.Contains(head, want) {
				t.Errorf("trusted %q: %q is missing:\n%s", c.trusted, want, head)
			}
		}
		for _, gone := range c.gone {
			if strings.Contains(head, gone) {
				t.Errorf("trusted %q: %q passed:\n%s", c.trusted, gone, head)
			}
		}
	}
}

func TestOurCookiesAndTheCredentialStayHere(t *testing.T) {
	key := &identity.Principal{Method: identity.MethodAccessKey, Subject: "K", KeyID: "K"}
	session := &identity.Principal{Method: identity.MethodSession, Subject: "u-1"}
	for _, c := range []struct {
		name       string
		who        *identity.Principal
		headers    string
		want, gone []string
	}{
		{
			"access key", key, "Authorization: Basic canary\r\nCookie: a=1; __Host-wave=canary; b=\"x;y\"\r\n",
			[]string{"Cookie: a=1; b=\"x;y\"\r\n"},
			[]string{"canary", "Authorization"},
		},
		{"X-API-Key", key, "X-API-Key: canary\r\nX_Api_Key: canary\r\nAuthorization_: canary\r\n", []string{"Authorization_"}, []string{"X-Api-Key", "X_Api_Key"}},
		{"a session leaves the app's Authorization", session, "Authorization: Bearer app\r\nCookie: __Host-wave=canary\r\n", []string{"Authorization: Bearer app\r\n"}, []string{"Cookie", "canary"}},
		{"anonymous", nil, "Authorization: Bearer app\r\nCookie: __Host-wave=canary;wave-login-77=canary;c=3\r\n", []string{"Cookie: c=3\r\n", "Authorization: Bearer app\r\n"}, []string{"canary"}},
		{"several lines", nil, "Cookie: __Host-wave=canary\r\nCookie: a=1;  b=2\r\n", []string{"Cookie: a=1;  b=2\r\n"}, []string{"canary"}},
		{"nothing of ours", nil, "Cookie: a=1;b=2;  __Host-waves=3\r\n", []string{"Cookie: a=1;b=2;  __Host-waves=3\r\n"}, nil},
	} {
		up := newRawUpstream(t)
		f := newFront(t, frontConfig{
			Config: Config{CookieNames: []string{"__Host-wave", "wave-login-*"}},
			policy: route(up.url), who: func(*http.Request) *identity.Principal { return c.who },
		})
		f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"+c.headers+"\r\n")
		head := up.head(t)
		for _, want := range c.want {
			if !strings.Contains(head, want) {
				t.Errorf("%s: %q is missing:\n%s", c.name, want, head)
			}
		}
		for _, gone := range c.gone {
			if strings.Contains(head, gone) {
				t.Errorf("%s: %q passed:\n%s", c.name, gone, head)
			}
		}
	}
}

// TestOurCookiesAreFoundInEveryLine: none of ours arrives, and the bytes of all
// others do.
func TestOurCookiesAreFoundInEveryLine(t *testing.T) {
	ours := nameList{[]string{"wavegate", "__Host-wavegate", "wavegate-login-*", "__Host-wavegate-login-*"}}
	for _, c := range []struct{ in, want []string }{
		{[]string{"wavegate=canary"}, nil},
		{[]string{"wavegate=canary; __Host-wavegate=canary;wavegate-login-A2B3=canary; __Host-wavegate-login-A2B3=canary"}, nil},
		{[]string{"a=1; wavegate=canary; b=2"}, []string{"a=1; b=2"}},
		{[]string{"wavegate=canary; a=1"}, []string{"a=1"}},
		{[]string{"a=1; wavegate=canary"}, []string{"a=1"}},
		{[]string{"a=1;wavegate=canary;b=2"}, []string{"a=1;b=2"}},
		{[]string{"a=1;  \t wavegate \t= canary ;\tb = 2 "}, []string{"a=1;\tb = 2 "}},
		{[]string{`a="x;y"; wavegate="canary"; b="q; r"`}, []string{`a="x;y"; b="q; r"`}},
		{[]string{`a="x; wavegate=canary"; b=1`}, []string{`a="x; b=1`}},
		{[]string{`$Version="1"; wavegate="canary"; $Path="/"; a=1; $Domain=x`}, []string{`$Version="1"; $Path="/"; a=1; $Domain=x`}},
		{[]string{"wavegate=canary; wavegate=canary", "a=1", "b=2; wavegate=canary", "__Host-wavegate=canary"}, []string{"a=1", "b=2"}},
		{[]string{";;  ; wavegate=canary ;;"}, nil},
		{[]string{"wavegate"}, nil},
		{[]string{"a=1; wavegate"}, []string{"a=1"}},
		{[]string{"wavegate=a=b=canary; c==d"}, []string{"c==d"}},
		{[]string{"=wavegate=1; wavegate=canary"}, []string{"=wavegate=1"}},
		{[]string{"wavegate-login-=canary; wavegate-login=1"}, []string{"wavegate-login=1"}},
		{[]string{"WAVEGATE=1; Wavegate-Login-x=2; __host-wavegate=3; wavegate=canary"}, []string{"WAVEGATE=1; Wavegate-Login-x=2; __host-wavegate=3"}},
		{[]string{"wavegates=1; xwavegate=2; __Host-wavegate2=3; __Secure-wavegate=4; wavegate=canary"}, []string{"wavegates=1; xwavegate=2; __Host-wavegate2=3; __Secure-wavegate=4"}},
		{[]string{"a=wavegate=1; b=__Host-wavegate; wavegate=canary"}, []string{"a=wavegate=1; b=__Host-wavegate"}},
		{[]string{"a=\u00e4; b=\xff\xfe; wavegate=canary;c=3"}, []string{"a=\u00e4; b=\xff\xfe;c=3"}},
		{[]string{"a=1;;  b=2 ;", "c"}, []string{"a=1;;  b=2 ;", "c"}},
	} {
		h := http.Header{"Cookie": slices.Clone(c.in)}
		stripCookies(h, ours)
		if diff := cmp.Diff(c.want, h["Cookie"]); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
		if _, there := h["Cookie"]; there != (c.want != nil) {
			t.Errorf("%q: the header is there: %v", c.in, there)
		}
	}
}

// FuzzStripCookies: what net/http reads as a cookie of ours never passes, and
// every other cookie does.
func FuzzStripCookies(f *testing.F) {
	f.Add("a=1; wavegate=x", "wavegate-login-1=x;b=2")
	f.Add(`a="x; wavegate=1"`, "$Version=1; __Host-wavegate = x")
	ours := nameList{[]string{"wavegate", "__Host-wavegate", "wavegate-login-*"}}
	f.Fuzz(func(t *testing.T, one, two string) {
		h := http.Header{"Cookie": {one, two}}
		var want []string
		for _, c := range (&http.Request{Header: h}).Cookies() {
			if !ours.has(c.Name) {
				want = append(want, c.Name+"="+c.Value)
			}
		}
		stripCookies(h, ours)
		var got []string
		for _, c := range (&http.Request{Header: h}).Cookies() {
			got = append(got, c.Name+"="+c.Value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q and %q: %s", one, two, diff)
		}
	})
}

func TestOnlyListedAndEssentialHeadersAreForwarded(t *testing.T) {
	in := http.Header{}
	for _, name := range []string{
		"Accept", "Accept-Language", "Content-Type", "Range", "If-None-Match", "User-Agent", "Origin", "Traceparent", "Sec-Websocket-Key", "Upgrade",
		"Cookie", "Referer", "X-Custom", "X-My-One", "X-My-Two", "Authorization", "Dnt",
	} {
		in.Set(name, "1")
	}
	essential := []string{"Accept", "Accept-Language", "Content-Type", "If-None-Match", "Origin", "Range", "Sec-Websocket-Key", "Traceparent", "Upgrade", "User-Agent"}
	for _, c := range []struct {
		listed []string
		also   []string
	}{
		{nil, nil},
		{[]string{"x-custom", "COOKIE"}, []string{"Cookie", "X-Custom"}},
		{[]string{"X-My-*"}, []string{"X-My-One", "X-My-Two"}},
		{[]string{"*"}, []string{"Cookie", "Referer", "X-Custom", "X-My-One", "X-My-Two", "Authorization", "Dnt"}},
	} {
		h := in.Clone()
		newForwardFilter(c.listed).apply(h)
		var got []string
		for name := range h {
			got = append(got, name)
		}
		slices.Sort(got)
		want := slices.Concat(essential, c.also)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", c.listed, diff)
		}
	}
}

func TestOffersOfOtherProtocolsAreNotForwarded(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url)})
	for _, offer := range []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
		"Connection: Upgrade\r\nUpgrade: tls/1.0\r\n",
		"Upgrade: websocket\r\n",
	} {
		c := "GET / HTTP/1.1\r\nHost: app.test\r\n" + offer + "\r\n"
		f.raw(t, c)
		if head := strings.ToLower(up.head(t)); strings.Contains(head, "upgrade") || strings.Contains(head, "http2-settings") || strings.Contains(head, "h2c") {
			t.Errorf("%q passed:\n%s", offer, head)
		}
	}
	f.raw(t, "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n")
	if head := strings.ToLower(up.head(t)); strings.Contains(head, "upgrade") {
		t.Errorf("a POST was upgraded:\n%s", head)
	}
}

func TestUpstreamsCannotPlantOurCookies(t *testing.T) {
	ours := nameList{[]string{"__Host-wavegate", "wavegate", "wavegate-login-*"}}
	for line, stays := range map[string]bool{
		"wavegate=x": false, "__Host-wavegate=x; Path=/; Secure": false, " wavegate =x": false, "=wavegate=x": false, "= =wavegate=x; Path=/": false,
		"wavegate-login-abc=1; Max-Age=0": false, "wavegate": false, "\twavegate=": false,
		"app=wavegate=x": true, "wavegatex=1": true, "Wavegate=1": true, "app=1; wavegate=2": true, "": true,
	} {
		h := http.Header{"Set-Cookie": {"first=1", line, "last=2; HttpOnly"}}
		dropSetCookies(h, ours)
		want := []string{"first=1", line, "last=2; HttpOnly"}
		if !stays {
			want = []string{"first=1", "last=2; HttpOnly"}
		}
		if got := h["Set-Cookie"]; !slices.Equal(got, want) {
			t.Errorf("%q: left %q", line, got)
		}
	}
	h := http.Header{"Set-Cookie": {"wavegate=x"}}
	if dropSetCookies(h, ours); len(h) != 0 {
		t.Errorf("left %v", h)
	}
}
