package tlsconf

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// scanResult is what sslscan finds, as far as it matters here.
type scanResult struct {
	Protocols []struct {
		Type    string `xml:"type,attr"`
		Version string `xml:"version,attr"`
		Enabled int    `xml:"enabled,attr"`
	} `xml:"ssltest>protocol"`
	Ciphers []struct {
		Version string `xml:"sslversion,attr"`
		Name    string `xml:"cipher,attr"`
		Bits    int    `xml:"bits,attr"`
	} `xml:"ssltest>cipher"`
	Groups []struct {
		Name string `xml:"name,attr"`
		Bits int    `xml:"bits,attr"`
	} `xml:"ssltest>group"`
	Renegotiation []struct {
		Supported int `xml:"supported,attr"`
	} `xml:"ssltest>renegotiation"`
	Compression []struct {
		Supported int `xml:"supported,attr"`
	} `xml:"ssltest>compression"`
	Heartbleed []struct {
		Vulnerable int `xml:"vulnerable,attr"`
	} `xml:"ssltest>heartbleed"`
}

// needTool returns the path of a program that the test cannot do without. In
// CI its absence is a failure.
func needTool(t *testing.T, path string, err error, hint string) string {
	t.Helper()
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(hint)
	}
	t.Skip(hint)
	return ""
}

func TestSSLScanFindsNothingWeak(t *testing.T) {
	tool, err := exec.LookPath("sslscan")
	needTool(t, tool, err, "sslscan is missing: apt-get install sslscan")
	addr := serve(t, newSource(t, Config{SelfSigned: true, DataDir: t.TempDir()}), "127.0.0.1:0")

	out, err := exec.CommandContext(t.Context(), tool, "--no-colour", "--xml=-", addr).Output()
	if err != nil {
		t.Fatalf("sslscan: %v\n%s", err, out)
	}
	var got scanResult
	if err := xml.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkProtocols(t, got)
	checkCiphers(t, got)
	for _, g := range got.Groups {
		if g.Bits < 128 {
			t.Errorf("group %s has the strength of %d bits, want at least 128", g.Name, g.Bits)
		}
	}
	if len(got.Renegotiation) == 0 || got.Renegotiation[0].Supported != 0 {
		t.Errorf("renegotiation: got %+v, want not supported", got.Renegotiation)
	}
	for _, c := range got.Compression { // missing where OpenSSL has no zlib; testssl looks again
		if c.Supported != 0 {
			t.Error("compression is supported")
		}
	}
	for _, h := range got.Heartbleed {
		if h.Vulnerable != 0 {
			t.Error("heartbleed")
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

func checkProtocols(t *testing.T, got scanResult) {
	t.Helper()
	var enabled []string
	for _, p := range got.Protocols {
		if p.Enabled != 0 {
			enabled = append(enabled, p.Type+p.Version)
		}
	}
	slices.Sort(enabled)
	if want := []string{"tls1.2", "tls1.3"}; !slices.Equal(enabled, want) {
		t.Errorf("protocols: got %v, want %v", enabled, want)
	}
}

func checkCiphers(t *testing.T, got scanResult) {
	t.Helper()
	if len(got.Ciphers) < 4 {
		t.Errorf("sslscan saw %d suites only: it did not reach the server", len(got.Ciphers))
	}
	for _, c := range got.Ciphers {
		aead := strings.Contains(c.Name, "GCM") || strings.Contains(c.Name, "CHACHA20")
		forward := strings.HasPrefix(c.Name, "ECDHE-") || c.Version == "TLSv1.3"
		if !aead || !forward || c.Bits < 128 {
			t.Errorf("weak suite %s %s (%d bits)", c.Version, c.Name, c.Bits)
		}
	}
}

// TestTestSSLFindsNothingWeak looks for what sslscan does not see or sees only
// with an OpenSSL of its own: compression, renegotiation begun by the client,
// faults of session tickets and of the handshake's order.
func TestTestSSLFindsNothingWeak(t *testing.T) {
	if testing.Short() {
		t.Skip("testssl takes 10 s: run without -short")
	}
	t.Parallel()
	tool, err := exec.LookPath("testssl")
	needTool(t, tool, err, "testssl is missing: apt-get install testssl.sh")
	addr := serve(t, newSource(t, Config{SelfSigned: true, DataDir: t.TempDir()}), "127.0.0.1:0")
	report := filepath.Join(t.TempDir(), "report.json")

	out, err := exec.CommandContext(t.Context(), tool, "--quiet", "--color", "0", "--nodns", "none",
		"--crime", "--renegotiation", "--ticketbleed", "--ccs-injection", "--jsonfile", report, addr).CombinedOutput()
	if err != nil {
		t.Fatalf("testssl: %v\n%s", err, out)
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var findings []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(data, &findings); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	ok := 0
	for _, f := range findings {
		switch f.Severity {
		case "OK":
			ok++
		case "LOW", "MEDIUM", "HIGH", "CRITICAL":
			t.Errorf("%s: %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	if ok < 5 {
		t.Errorf("testssl passed %d checks, want 5:\n%s", ok, out)
	}
}
