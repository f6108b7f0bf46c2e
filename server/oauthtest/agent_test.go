package oauthtest

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// TestOIDCAgentKeepsATokenFresh has Debian's oidc-agent get tokens with a device
// code on a machine without a browser, and renew them.
func TestOIDCAgentKeepsATokenFresh(t *testing.T) {
	t.Parallel()
	for name, open := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, map[string]app{"agent": {
				auth: "client_secret_basic", grants: []string{"authorization_code", deviceGrant, "refresh_token"},
				scope: "openid profile offline_access", redirect: "http://localhost:4242",
			}})
			a := startAgent(t)
			a.generate(t, s)
			first := a.token(t, "account")
			if again := a.token(t, "account"); again != first {
				t.Error("the token is not kept")
			}
			second := a.token(t, "--force-new", "account")
			if second == first {
				t.Error("the token is not renewed")
			}
			for _, token := range []string{first, second} {
				want(t, "userinfo", s.userInfo(t, token), map[string]any{"preferred_username": "ada"})
			}
		})
	}
}

// An agent is a running oidc-agent.
type agent struct {
	env []string
}

func startAgent(t *testing.T) *agent {
	t.Helper()
	for _, name := range []string{"oidc-agent", "oidc-gen", "oidc-token"} {
		if _, err := exec.LookPath(name); err != nil {
			browsertest.Missing(t, name, "apt-get install oidc-agent-cli")
		}
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, ".oidc-agent"), 0o700))
	socket := filepath.Join(dir, "socket")
	a := &agent{env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "OIDC_SOCK=" + socket}}
	cmd := exec.Command("oidc-agent", "--console", "--quiet", "--socket-path="+socket)
	cmd.Env = a.env
	start(t, cmd, func(*process) bool { return answers("unix", socket) })
	return a
}

// generate makes an account with the device flow. The person opens the address
// that oidc-gen prints and types the code.
func (a *agent) generate(t *testing.T, s *stage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := s.clients["agent"]
	cmd := exec.CommandContext(ctx, "oidc-gen", "--manual", "--flow=device", "--prompt=none", "--confirm-default", "--no-url-call",
		"--issuer="+s.issuer, "--client-id="+client.id, "--client-secret="+client.secret, "--redirect-uri="+s.apps["agent"].redirect,
		"--scope="+s.apps["agent"].scope, "--pw-cmd=echo of this test", "account")
	cmd.Env = a.env
	p := begin(t, cmd)
	t.Cleanup(func() { p.stop(t) })
	var told []string
	err := p.wait(func(p *process) bool {
		told = deviceText.FindStringSubmatch(p.log.String())
		return told != nil
	})
	must(t, err)
	_, _, err = s.ada(t).browse(ctx, told[1], appURL, told[2])
	must(t, err)
	<-p.ended // it asks every few seconds
	if !cmd.ProcessState.Success() {
		t.Fatalf("oidc-gen: %v", cmd.ProcessState)
	}
}

// deviceText has the address and the code of what oidc-gen prints.
var deviceText = regexp.MustCompile(`(?s)visit:\s+(\S+)\s.*?code: (\S+)\s`)

// token asks the agent for an access token.
func (a *agent) token(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "oidc-token", args...)
	cmd.Env = a.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	token := strings.TrimSpace(string(out))
	if err != nil || token == "" {
		t.Fatalf("oidc-token %q: %v\n%s", args, err, &stderr)
	}
	return token
}

// userInfo asks the server whom an access token is about.
func (s *stage) userInfo(t *testing.T, token string) map[string]any {
	t.Helper()
	var metadata struct {
		Endpoint string `json:"userinfo_endpoint"`
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.issuer+"/.well-known/openid-configuration", http.NoBody)
	must(t, err)
	fetch(t, req, &metadata)
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, metadata.Endpoint, http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	claims := map[string]any{}
	fetch(t, req, &claims)
	return claims
}
