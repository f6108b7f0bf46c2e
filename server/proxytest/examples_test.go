//go:build linux

package proxytest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where the examples say that things are. The tests change these addresses,
// and what is listed with each proxy below, and nothing else.
const (
	exampleGate = "127.0.0.1:10101"
	exampleApp  = "127.0.0.1:3000"
)

// readExample returns a file of examples/.
func readExample(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// substituted returns an example with old, new pairs replaced, in comments too.
// What is to be replaced must be there.
func substituted(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	text := readExample(t, name)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("examples/%s does not say %q any more", name, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// startNginx runs examples/nginx.conf. Beside the addresses, temporary files
// and logs go to the test's folder: nginx's own are for root.
func startNginx(t *testing.T, gate, app string) string {
	dir, port := t.TempDir(), freePort(t)
	conf := substituted(
		t, "nginx.conf", exampleGate, gate, exampleApp, app,
		"listen 8080;", "listen 127.0.0.1:"+port+";", "http {\n", "http {\n"+nginxFolders(dir),
	)
	return runNginx(t, dir, conf, port)
}

// nginxFolders are the lines that keep nginx's files in a folder.
func nginxFolders(dir string) string {
	var text strings.Builder
	text.WriteString("access_log off;\n")
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text.WriteString(what + "_temp_path " + filepath.Join(dir, what) + ";\n")
	}
	return text.String()
}

func runNginx(t *testing.T, dir, conf, port string) string {
	t.Helper()
	addr := net.JoinHostPort("127.0.0.1", port)
	program{
		binary: "nginx", pkg: "nginx-light", dir: dir,
		args: []string{
			"-p", dir, "-e", "stderr", "-c", writeFile(t, filepath.Join(dir, "nginx.conf"), conf),
			"-g", "daemon off; master_process off; error_log stderr; pid " + filepath.Join(dir, "nginx.pid") + ";",
		},
	}.start(t, addr)
	return addr
}

// startCaddy runs examples/Caddyfile, on the loopback interface alone.
func startCaddy(t *testing.T, gate, app string) string {
	port := freePort(t)
	conf := substituted(
		t, "Caddyfile", exampleGate, gate, exampleApp, app,
		"\n:8080 {\n", "\n:"+port+" {\n\tbind 127.0.0.1\n",
	)
	return runCaddy(t, conf, port)
}

func runCaddy(t *testing.T, conf, port string) string {
	t.Helper()
	dir, addr := t.TempDir(), net.JoinHostPort("127.0.0.1", port)
	program{
		binary: "caddy", pkg: "caddy", dir: dir,
		args: []string{"run", "--adapter", "caddyfile", "--config", writeFile(t, filepath.Join(dir, "Caddyfile"), conf)},
		env:  []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir},
	}.start(t, addr)
	return addr
}

// startHAProxy runs examples/haproxy.cfg.
func startHAProxy(t *testing.T, gate, app string) string {
	port := freePort(t)
	return runHAProxy(t, substituted(t, "haproxy.cfg", exampleGate, gate, exampleApp, app, "bind :8080", "bind 127.0.0.1:"+port), port)
}

// runHAProxy runs a configuration, with examples/haproxy.lua as it is.
func runHAProxy(t *testing.T, conf, port string) string {
	t.Helper()
	dir, addr := t.TempDir(), net.JoinHostPort("127.0.0.1", port)
	writeFile(t, filepath.Join(dir, "haproxy.lua"), readExample(t, "haproxy.lua"))
	program{
		binary: "haproxy", pkg: "haproxy", dir: dir,
		args: []string{"-db", "-f", writeFile(t, filepath.Join(dir, "haproxy.cfg"), conf)},
	}.start(t, addr)
	return addr
}
