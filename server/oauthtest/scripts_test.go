package oauthtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"wavegate/server/portal/browsertest"
)

// npmFolder is where .ci/deps installs the npm packages of testdata/clients.
const npmFolder = "../../.tools/oauth-clients/node_modules"

// scripts returns a folder with the scripts of testdata/clients beside the packages
// that they import.
func scripts(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		browsertest.Missing(t, "Node.js", "apt-get install nodejs npm, then make deps")
	}
	packages, err := filepath.Abs(npmFolder)
	must(t, err)
	for _, name := range []string{"openid-client", "oauth4webapi", "oidc-client-ts"} {
		if _, err := os.Stat(filepath.Join(packages, name)); err != nil {
			browsertest.Missing(t, "the npm package "+name, "apt-get install nodejs npm, then make deps")
		}
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata/clients")))
	must(t, os.Symlink(packages, filepath.Join(dir, "node_modules")))
	return dir
}

// An outcome is what a script says at the end. The library has checked the ID
// token and what is said of it here.
type outcome struct {
	Tokens struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		IDToken      string `json:"id_token"`
		TokenType    string `json:"token_type"`
		Scope        string `json:"scope"`
		ExpiresIn    int64  `json:"expires_in"`
	}
	ClientID      string         `json:"client_id"` // where the app has registered itself
	Claims        map[string]any // of the ID token
	UserInfo      map[string]any
	Introspection map[string]any
	Access        map[string]any // claims of the access token
}

// A message is one line of a script.
type message struct {
	Browse string   // an address that the person shall open
	Code   string   // what to type there, "" for nothing
	Done   *outcome // the end
}

// runScript runs a script to its end. The person does what it asks for in the
// browser, which is not let go to the app itself.
func runScript(t *testing.T, path string, config map[string]any, who *person) *outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", path)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	input, err := cmd.StdinPipe()
	must(t, err)
	output, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	done, err := converse(ctx, input, output, config, who)
	input.Close()
	if waited := cmd.Wait(); err != nil || waited != nil {
		t.Fatalf("%s %s: %v, %v\npages: %q\n%s", filepath.Base(path), config["flow"], err, waited, who.seen, &stderr)
	}
	return done
}

// converse answers the lines of a script until it is done.
func converse(ctx context.Context, input io.Writer, output io.Reader, config map[string]any, who *person) (*outcome, error) {
	to := json.NewEncoder(input)
	if err := to.Encode(config); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%w: %s", err, lines.Bytes())
		}
		if m.Done != nil {
			return m.Done, nil
		}
		at, _, err := who.browse(ctx, m.Browse, appURL, m.Code)
		if err != nil {
			return nil, err
		}
		if err := to.Encode(map[string]string{"at": at.String()}); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no end: %v", lines.Err())
}
