package server

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain"
	"wavegate/server/portal/browsertest"
)

const demoSample = "/v1/streams/str_harbour0cam00001"

// startDemo starts the demo and returns what it printed.
func startDemo(t *testing.T, change ...func(*Config)) (*testServer, string) {
	t.Helper()
	printed := &lockedBuffer{}
	cfg := testConfig(t)
	cfg.Demo, cfg.Announce, cfg.Keychain = true, printed, keychain.Config{}
	for _, c := range change {
		c(&cfg)
	}
	ts := startServer(t, cfg)
	eventually(t, "the demo says how to stop it", func() bool { return strings.Contains(printed.String(), "Ctrl-C") })
	return ts, printed.String()
}

// printed returns what stands after the word, "" where it does not stand.
func printed(text, word string) string {
	found := regexp.MustCompile(regexp.QuoteMeta(word) + `\s*(\S+)`).FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return found[1]
}

// Passwords and keys are costly to make, so these share one demo.
func TestDemo(t *testing.T) {
	ts, out := startDemo(t)
	t.Run("user signs in and uses the API", func(t *testing.T) { testDemoUser(t, ts, out) })
	t.Run("access keys", func(t *testing.T) { testDemoKeys(t, ts, out) })
	t.Run("API keys", func(t *testing.T) { testDemoAPIKeys(t, ts, out) })
	t.Run("in a browser", func(t *testing.T) { testDemoInABrowser(t, ts, out) })
	for _, word := range []string{"password", "WAVE_KEY=demo:", "WAVE_READER=reader:"} {
		if secret := printed(out, word); secret == "" || strings.Contains(ts.log.String(), secret) {
			t.Errorf("%s is not printed, or is in the log", word)
		}
	}
}

func testDemoUser(t *testing.T, ts *testServer, out string) {
	b := newBrowser(t, ts.URL)
	if page := b.open("/").want(t, http.StatusOK, ""); !strings.Contains(page.body, `name="password"`) {
		t.Fatalf("the first page is no login page: %s", page.body)
	}
	password := printed(out, "password")
	if printed(out, "browser:") != ts.URL+"/" || printed(out, "username") != "demo" || len(password) < 10 {
		t.Fatalf("it does not print how to sign in:\n%s", out)
	}
	if want := "Portal  " + ts.URL + "/_portal/ (sign in as demo / " + password + ")\n"; !strings.Contains(out, want) {
		t.Errorf("it does not say %q:\n%s", want, out)
	}
	if a := b.signIn("demo", password, "/"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		t.Fatalf("signing in: %d %s", a.StatusCode, a.body)
	}
	home := b.open("/").want(t, http.StatusOK, "")
	for _, want := range []string{
		`href="/_portal/"`, `href="/_auth/logout"`, `href="/admin-only"`, "Wave-Session-ID", "Wave-Client-ID", "streams:write", "signature checked",
	} {
		if !strings.Contains(home.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	b.xhr("/v1/streams").want(t, http.StatusOK, "")
	b.xhr("/v1/auth/users").want(t, http.StatusOK, "") // of administrators
	b.send("POST", demoSample+"/start", nil, "Accept", "application/json").want(t, http.StatusOK, "")
	b.send("POST", demoSample+"/stop", nil, "Accept", "application/json").want(t, http.StatusOK, "")
	if cookie := b.sessionCookie(); cookie == "" || strings.Contains(b.xhr("/headers").body, cookie) {
		t.Error("the session's cookie reached the app")
	}
	if a := b.open("/admin-only").want(t, http.StatusForbidden, ""); strings.Contains(a.body, "should not see") {
		t.Errorf("/admin-only is open: %s", a.body)
	}
	b.open("/_auth/logout").want(t, http.StatusOK, "")
	b.xhr("/v1/streams").want(t, http.StatusUnauthorized, "credential_required")
}

func testDemoKeys(t *testing.T, ts *testServer, out string) {
	key := basic("demo", printed(out, "WAVE_KEY=demo:"))
	reader := basic("reader", printed(out, "WAVE_READER=reader:"))
	for _, test := range []struct {
		key, method, path string
		want              int
	}{
		{key, "GET", "/", 200},
		{key, "GET", "/v1/streams", 200},
		{key, "POST", demoSample + "/start", 200},
		{key, "POST", demoSample + "/stop", 200},
		{key, "GET", "/admin-only", 403},
		{reader, "GET", "/v1/streams", 200},
		{reader, "DELETE", demoSample, 403},
		{basic("demo", printed(out, "password")), "GET", "/v1/streams", 401}, // the user is no key
	} {
		ts.do(test.method, test.path, "", "Authorization", test.key).want(t, test.want, "")
	}
}

// The commands that it prints about API keys do what it says of them.
func testDemoAPIKeys(t *testing.T, ts *testServer, out string) {
	for _, want := range []string{`-u "$WAVE_KEY" ` + ts.URL + "/v1/auth/keys", ts.URL + "/api/v1/onboarding/temp-key"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not print %s", want)
		}
	}
	made := ts.do("POST", "/v1/auth/keys", `{"name": "my script", "scopes": ["streams:read"]}`, "Authorization", basic("demo", printed(out, "WAVE_KEY=demo:")))
	made.want(t, http.StatusCreated, "")
	trial := ts.do("POST", "/api/v1/onboarding/temp-key", "")
	trial.want(t, http.StatusOK, "")
	whole := regexp.MustCompile(`wave_(?:live|trial)_[0-9a-f]{32}`)
	for _, key := range []string{whole.FindString(made.body), whole.FindString(trial.body)} {
		got := ts.do("GET", "/v1/streams", "", "Authorization", "Bearer "+key)
		got.want(t, http.StatusOK, "")
		if got.Header.Get("X-Ratelimit-Limit") != "300" {
			t.Errorf("its limits are %v, want 300 a minute", got.Header)
		}
		ts.do("DELETE", demoSample, "", "Authorization", "Bearer "+key).want(t, http.StatusForbidden, "insufficient_scope")
	}
}

// A person at a real browser: login page, app, buttons, refusal, way out.
func testDemoInABrowser(t *testing.T, ts *testServer, out string) {
	page := browsertest.Start(t).Open(t, ts.URL+"/", browsertest.Looks()[0], nil)
	page.Click(t, "#username")
	page.Press(t, "demo\t"+printed(out, "password")+"\r")
	status := `document.querySelector("[data-stream=str_harbour0cam00001] .status")`
	page.WaitFor(t, status+`?.textContent === "idle" && document.getElementById("pulse").textContent === "updating"`)
	page.Click(t, "[data-stream=str_harbour0cam00001] .turn")
	page.WaitFor(t, status+`.textContent === "live"`)
	page.Check(t)

	page.Click(t, `a[href="/admin-only"]`)
	page.WaitFor(t, `document.title.includes("no access")`)
	page.Click(t, `.top a.brand`)
	page.WaitFor(t, `document.title.includes("through the gate") && document.readyState === "complete"`)
	page.Click(t, `a[href="/_auth/logout"]`)
	page.WaitFor(t, `location.pathname === "/_auth/signed-out"`)
}

func TestDemoTouchesNothingOfTheOperators(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := map[string]string{
		"wavegate.db": "not even a database", ".wave-users": keychainLine(t, "ann", "ann-password"), ".wave-keychain": keychainLine(t, "id", "secret"),
	}
	for name, content := range mine {
		writeFile(t, filepath.Join(dir, name), content)
	}
	ts, _ := startDemo(t, func(c *Config) {
		c.DataDir = dir // the default files, which nobody asked for
		c.Users = keychain.Config{Kind: keychain.LocalUsers, Path: filepath.Join(dir, ".wave-users")}
		c.Keychain.Path = filepath.Join(dir, ".wave-keychain")
	})
	if a := newBrowser(t, ts.URL).signIn("ann", "ann-password", "/"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a user of the operator's: %d", a.StatusCode)
	}
	ts.get("/v1/streams").want(t, http.StatusUnauthorized, "") // a key of the operator's
	if err := ts.stop(); err != nil {
		t.Fatal(err)
	}
	for name, want := range mine {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestDemoForgetsTheDemoBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users := writeFile(t, filepath.Join(dir, "demo.wave-users"), keychainLine(t, "demo", "old-password"))
	before := guarded(t, whoApp, func(c *Config) {
		c.Users = keychain.Config{Kind: keychain.LocalUsers, Path: users, Required: true}
		c.Store = "sqlite:" + filepath.Join(dir, "demo.db")
	})
	newBrowser(t, before.URL).signIn("demo", "old-password", "/").want(t, http.StatusSeeOther, "")
	if err := before.stop(); err != nil {
		t.Fatal(err)
	}
	leftovers := []string{"demo.db-wal", "demo.db-shm", "demo.db-journal"} // of a process that was killed
	for _, name := range leftovers {
		writeFile(t, filepath.Join(dir, name), "rubbish")
	}

	ts, out := startDemo(t, func(c *Config) { c.DataDir = dir })
	b := newBrowser(t, ts.URL)
	b.signIn("demo", "old-password", "/").want(t, http.StatusUnauthorized, "")
	b.signIn("demo", printed(out, "password"), "/").want(t, http.StatusSeeOther, "")
	if list := b.xhr("/v1/auth/sessions").want(t, http.StatusOK, ""); strings.Count(list.body, `"ses_`) != 1 {
		t.Errorf("sessions of the demo before are there: %s", list.body)
	}
	for _, name := range leftovers {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil && string(data) == "rubbish" {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestDemoLeavesWhatTheOperatorBrought(t *testing.T) {
	t.Parallel()
	const user, keys = "(sign in as demo / ", "WAVE_KEY=demo:"
	const ownUser, ownKeys = "http://localhost/_portal/ (sign in as you have set it up)", "with the access keys that you brought"
	aKeychain := func(c *Config) { c.Keychain.Path, c.Keychain.Required = "mine", true }
	aPair := func(c *Config) { c.Keychain.ID, c.Keychain.Secret = "id", "secret" }
	aUsersFile := func(c *Config) { c.Users = keychain.Config{Kind: keychain.LocalUsers, Path: "mine", Required: true} }
	aProvider := func(c *Config) { c.SignIn.Issuer = "https://id.example.com" }
	anAdmin := func(c *Config) { c.Admins = []string{"key:root"} }
	aStore := func(c *Config) { c.Store = "postgres://db/wavegate" }
	for name, test := range map[string]struct {
		brought []func(*Config)
		made    []string // in the data folder
		says    []string
		admins  []string
	}{
		"a users file":            {[]func(*Config){aUsersFile}, []string{"demo.wave-keychain"}, []string{ownUser, keys}, nil},
		"a keychain":              {[]func(*Config){aKeychain}, []string{"demo.wave-users"}, []string{user, ownKeys}, []string{"local|demo"}},
		"a keychain and --admins": {[]func(*Config){aKeychain, anAdmin}, []string{"demo.wave-users"}, []string{user, ownKeys}, []string{"key:root"}},
		"a pair and a users file": {[]func(*Config){aPair, aUsersFile}, nil, []string{ownUser, ownKeys}, nil},
		"everything":              {[]func(*Config){aKeychain, aProvider, aStore}, nil, []string{ownUser, ownKeys}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := &lockedBuffer{}
			before := Config{DataDir: t.TempDir(), BaseURL: "/", Announce: out}
			for _, bring := range test.brought {
				bring(&before)
			}
			after := before
			d, err := newDemo(&after, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			d.print("http://localhost")
			for _, want := range append(test.says, "http://localhost/", "Ctrl-C") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if diff := cmp.Diff(test.made, madeFiles(t, before.DataDir)); diff != "" {
				t.Errorf("files made (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.admins, after.Admins); diff != "" {
				t.Errorf("administrators (-want +got):\n%s", diff)
			}
			checkKept(t, before, after)
		})
	}
}

// checkKept fails the test where newDemo changed what was set before.
func checkKept(t *testing.T, before, after Config) {
	t.Helper()
	store := before.Store
	if store == "" {
		store = "sqlite:" + filepath.Join(before.DataDir, "demo.db")
	}
	if after.Store != store {
		t.Errorf("store %q, want %q", after.Store, store)
	}
	if ownUsers := before.Users.Required || before.SignIn.Issuer != ""; ownUsers && after.Users.Path != before.Users.Path {
		t.Errorf("users %q, want %q", after.Users.Path, before.Users.Path)
	}
	if ownKeys := before.Keychain.Required || before.Keychain.ID != ""; ownKeys && after.Keychain.Path != before.Keychain.Path {
		t.Errorf("keychain %q, want %q", after.Keychain.Path, before.Keychain.Path)
	}
}

// madeFiles returns the files in a folder, without the locks beside them.
func madeFiles(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestCheckingTheDemoMakesNoFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Check(Config{Listen: "127.0.0.1:0", DataDir: dir, Demo: true, Announce: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", dir, err)
	}
}

// The paths of the gate's own pages follow the base URL; the app stays at "/".
func TestDemoBelowAnotherBaseURL(t *testing.T) {
	t.Parallel()
	ts, out := startDemo(t, withUsers(t), func(c *Config) {
		c.BaseURL = "/gate/"
		c.Keychain.ID, c.Keychain.Secret = "id", "secret"
	})
	if got := printed(out, "browser:"); got != ts.URL+"/" {
		t.Errorf("it sends to %q", got)
	}
	b := newBrowser(t, ts.URL)
	form := url.Values{"username": {"ann"}, "password": {"ann-password"}, "next": {"/"}}
	b.send("POST", "/gate/_auth/login", form, "Sec-Fetch-Site", "same-origin").want(t, http.StatusSeeOther, "")
	home := b.open("/").want(t, http.StatusOK, "")
	if !strings.Contains(home.body, `href="/gate/_portal/"`) || !strings.Contains(out, ts.URL+"/gate/_portal/ (sign in as you have set it up)") {
		t.Errorf("it does not lead to the portal:\n%s", out)
	}
	for _, link := range []string{"/gate/oauth/jwks", "/gate/_auth/logout"} {
		if !strings.Contains(home.body, `href="`+link+`"`) {
			t.Errorf("the page does not lead to %s", link)
		}
		b.open(link).want(t, http.StatusOK, "")
	}
}
