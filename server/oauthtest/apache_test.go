package oauthtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/server/gatetest"
	"wavegate/server/portal/browsertest"
)

// apacheProgram and apacheModules are where Debian has them.
const (
	apacheProgram = "/usr/sbin/apache2"
	apacheModules = "/usr/lib/apache2/modules"
)

// securePage shows who is signed in, and what the module knows of them.
const securePage = `<title>Secure</title>
<p>For <!--#echo var="REMOTE_USER" --> of <!--#echo var="OIDC_CLAIM_iss" --></p>
`

// TestApacheSignsPeopleIn has Debian's mod_auth_openidc protect a page. The person
// signs out through it too.
func TestApacheSignsPeopleIn(t *testing.T) {
	t.Parallel()
	for name, open := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := gatetest.FreePort(t)
			origin := "http://127.0.0.1:" + port
			s := open(t, map[string]app{"apache": {
				auth: "client_secret_basic", grants: []string{"authorization_code"}, scope: "openid profile",
				redirect: origin + "/secure/callback", bye: origin + "/bye.html",
			}})
			startApache(t, s, port)
			ada := s.ada(t)
			want := "<p>For ada of " + s.issuer + "</p>"
			_, page, err := ada.browse(t.Context(), origin+"/secure/page.html?x=1", "", "")
			must(t, err)
			if !strings.Contains(page, want) {
				t.Fatalf("the page says\n%s\nwant %s", page, want)
			}
			at, page, err := ada.browse(t.Context(), origin+"/secure/callback?logout="+origin+"/bye.html", "", "")
			must(t, err)
			if at.Path != "/bye.html" || !strings.Contains(page, "Signed out") {
				t.Errorf("signing out ended at %s:\n%s", at, page)
			}
			ada.seen = nil
			if _, page, err = ada.browse(t.Context(), origin+"/secure/page.html", "", ""); err != nil || !strings.Contains(page, want) {
				t.Errorf("the second sign-in ended with %v:\n%s", err, page)
			}
			if len(ada.seen) < 2 { // the provider's, and the page
				t.Errorf("after signing out nobody is asked: %q", ada.seen)
			}
		})
	}
}

// startApache runs Apache until the end of the test, with the pages that the
// configuration speaks of.
func startApache(t *testing.T, s *stage, port string) {
	t.Helper()
	for _, file := range []string{apacheProgram, apacheModules + "/mod_auth_openidc.so"} {
		if _, err := os.Stat(file); err != nil {
			browsertest.Missing(t, file, "apt-get install libapache2-mod-auth-openidc")
		}
	}
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) // as root it serves as somebody else
	must(t, os.MkdirAll(filepath.Join(dir, "pages", "secure"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "pages", "secure", "page.html"), []byte(securePage), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "pages", "bye.html"), []byte("<title>Signed out</title>"), 0o644))
	config, err := filepath.Abs("testdata/apache.conf")
	must(t, err)
	args := []string{"-f", config, "-D", "FOREGROUND"}
	if os.Geteuid() == 0 {
		args = append(args, "-C", "User www-data", "-C", "Group www-data")
	}
	for name, value := range map[string]string{
		"DIR": dir, "PORT": port, "MODULES": apacheModules, "ISSUER": s.issuer, "PASSPHRASE": "of-this-test-alone",
		"CLIENT_ID": s.clients["apache"].id, "CLIENT_SECRET": s.clients["apache"].secret,
	} {
		args = append(args, "-C", "Define "+name+` "`+value+`"`)
	}
	start(t, exec.Command(apacheProgram, args...), func(*process) bool { return answers("tcp", "127.0.0.1:"+port) })
}
