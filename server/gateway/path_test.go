package gateway

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wavegate/server/fault"
	"wavegate/server/policy"
)

// pathCase is one line of testdata/paths.txt.
type pathCase struct{ raw, verdict string }

// pathCorpus reads testdata/paths.txt.
func pathCorpus(t testing.TB) []pathCase {
	t.Helper()
	data, err := os.ReadFile("testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []pathCase
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		raw, verdict, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatalf("no verdict in %q", line)
		}
		cases = append(cases, pathCase{bytesOf(t, raw), bytesOf(t, strings.TrimSpace(verdict))})
	}
	return cases
}

// bytesOf replaces \xNN by its byte.
func bytesOf(t testing.TB, s string) string {
	t.Helper()
	for {
		i := strings.Index(s, `\x`)
		if i < 0 {
			return s
		}
		n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		s = s[:i] + string([]byte{byte(n)}) + s[i+4:]
	}
}

// verdictOf writes what CleanPath says as the corpus does.
func verdictOf(raw string) string {
	path, found, err := CleanPath(raw)
	switch {
	case err != nil:
		return "refused"
	case found != 0:
		return "needs " + found.String() + " " + path
	}
	return "ok " + path
}

func TestCleanPathCorpus(t *testing.T) {
	for _, c := range pathCorpus(t) {
		if got := verdictOf(c.raw); got != c.verdict {
			t.Errorf("%q: got %q, want %q", c.raw, got, c.verdict)
		}
	}
}

func TestCleanPathRefusalsAreBadRequestsWithoutThePath(t *testing.T) {
	for _, raw := range []string{"/a/../canary", "/canary%00", "/canary%zz", "canary", "/" + strings.Repeat("canary", 2000)} {
		_, _, err := CleanPath(raw)
		e := fault.From(err)
		if e.Status != 400 || e.Code != "invalid_request" || strings.Contains(e.Error(), "canary") {
			t.Errorf("%.20q: got %d %v", raw, e.Status, err)
		}
	}
}

func TestCleanPathIsBoundedInLength(t *testing.T) {
	if _, _, err := CleanPath("/" + strings.Repeat("a", maxPath-1)); err != nil {
		t.Errorf("8 KB: %v", err)
	}
	if _, _, err := CleanPath("/" + strings.Repeat("a", maxPath)); err == nil {
		t.Error("8 KB and a byte: passed")
	}
}

func TestCleanPathOfAPlainPathAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { CleanPath("/v1/streams/abc-123;x=y/files.tar.gz") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// anyPath draws paths that are rich in what matters.
func anyPath(t *rapid.T) string {
	piece := rapid.SampledFrom([]string{
		"/", "/", "a", "b", ".", "..", ";", "%2f", "%5C", `\`, "%25", "%2e", "%32", "%66", "2f", "%", "%00", "%c0", "%ae", "%20", "%C3%A9", "\x01", "%7e", "admin",
	})
	return "/" + strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
}

func TestCleanPathIsWhatTheUpstreamDecodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkCleanPath(t, anyPath(t))
	})
}

// checkCleanPath checks what must hold for every path that passes.
func checkCleanPath(t interface{ Fatalf(string, ...any) }, raw string) {
	path, found, err := CleanPath(raw)
	if err != nil {
		return
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		t.Fatalf("%q passed and does not decode: %v", raw, err)
	}
	// What stays encoded for matching is a slash, backslash or percent sign.
	if got := strings.NewReplacer("%2F", "/", "%5C", `\`, "%25", "%").Replace(path); got != decoded {
		t.Fatalf("%q: matched as %q, decoded by the upstream as %q", raw, path, decoded)
	}
	if found&policy.EncodedSlash == 0 && strings.Count(path, "/") != strings.Count(decoded, "/") {
		t.Fatalf("%q: a separator was hidden: %q", raw, path)
	}
	if found == 0 && strings.Contains(decoded, "//") {
		t.Fatalf("%q: an empty segment was not reported", raw)
	}
	for _, s := range []string{decoded, strings.ReplaceAll(decoded, `\`, "/")} {
		for segment := range strings.SplitSeq(s, "/") {
			if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
				t.Fatalf("%q: passed with the dot segment %q", raw, segment)
			}
		}
	}
	if strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Fatalf("%q: passed with a control character", raw)
	}
	checkIdempotent(t, path, found)
}

// checkIdempotent checks that a path that was normalised, written with escapes
// again, is normalised to itself.
func checkIdempotent(t interface{ Fatalf(string, ...any) }, path string, found policy.PathFeature) {
	again := reescape(path)
	path2, found2, err := CleanPath(again)
	if err != nil || path2 != path || found2 != found {
		t.Fatalf("%q again as %q: got %q %v %v, want %v", path, again, path2, found2, err, found)
	}
}

// reescape writes a normalised path as it could stand on the wire.
func reescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case strings.HasPrefix(path[i:], "%2F"), strings.HasPrefix(path[i:], "%5C"), strings.HasPrefix(path[i:], "%25"):
			b.WriteString(path[i : i+3])
			i += 2
		case c == '%' || c <= ' ' || c >= 0x7f || c == '?' || c == '#':
			b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(c)+0x100, 16)[1:]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func TestPathBeyondIsTheSameOnTheWireAndMatched(t *testing.T) {
	for _, c := range []struct{ wire, prefix, want string }{
		{"/api", "/api", ""},
		{"/api/", "/api", "/"},
		{"/api/x", "/api", "/x"},
		{"/a/b/c/d", "/a/b", "/c/d"},
		{"/%61pi/%78", "/api", "/%78"},
		{"/caf%C3%A9/x", "/caf\xc3\xa9", "/x"},
		{"/api//x", "/api", "//x"},
		{"//api//x", "/api", "//x"},
		{"/a//b/c", "/a/b", "/c"},
		{"/a%20b/c%2Fd", "/a b", "/c%2Fd"},
		{"/x", "/", "/x"},
	} {
		if got := pathBeyond(c.wire, c.prefix); got != c.want {
			t.Errorf("%q after %q: got %q, want %q", c.wire, c.prefix, got, c.want)
		}
		matched, _, err := CleanPath(c.wire)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := decode(c.want)
		if got := pathBeyond(matched, c.prefix); got != want {
			t.Errorf("%q after %q: got %q, want %q", matched, c.prefix, got, want)
		}
	}
}

func FuzzCleanPath(f *testing.F) {
	for _, c := range pathCorpus(f) {
		f.Add(c.raw)
	}
	f.Fuzz(func(t *testing.T, raw string) { checkCleanPath(t, raw) })
}
