//go:build linux

package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"
)

// patience is how long a process may take to come up.
const patience = 30 * time.Second

// A process is a server that runs.
type process struct {
	addr string
	pid  int
}

// startRole starts this test binary in a role.
func startRole(t *testing.T, role string, env ...string) process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(env, envRole+"="+role, envProfile+"="+os.Getenv("WAVEGATE_BENCH_PROFILE"),
		"GORACE=atexit_sleep_ms=0") // under the race detector a process else sleeps a second before it ends
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not say where it listens: %v", role, err)
	}
	return process{strings.TrimSpace(line), cmd.Process.Pid}
}

// The one access key, and the files that guard the upstream with it.
const (
	keyID        = "BENCH4N8Q2ZK7TW5XA0C"
	keySecret    = "b3nChSecretThatIsFortyCharactersLongAbcd"
	keychainFile = "keychain"
	policyFile   = "policy.yaml"
)

// policyText guards a small API: the key holds one scope of two, and needs it.
const policyText = `upstreams:
  - route: /
    url: http://%s
    access: authenticated
scopes:
  streams:read: {description: View streams, risk: low, endpoints: [GET /v1/streams, "GET /v1/streams/:id"]}
  streams:write: {description: Change streams, risk: high, endpoints: [POST /v1/streams, "DELETE /v1/streams/:id"]}
access_keys:
  %s: {scopes: ["streams:read"]}
tiers:
  bench: {requests_per_minute: 1000000000, burst_per_second: 100000000, concurrent: 1000, bandwidth_per_month: 1000TB}
roles:
  viewer: {scopes: ["streams:read"], members: ["local|ann"]}
`

// writeGuard writes keychain and policy into a new folder.
func writeGuard(t *testing.T, upstream string, cost int) (dir string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(keySecret), cost)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, text := range map[string]string{
		keychainFile: keyID + ":" + string(hash) + "\n",
		policyFile:   fmt.Sprintf(policyText, upstream, keyID),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// buildBinary builds the program as `make release` does.
func buildBinary(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "wavegate")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, "wavegate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	return out
}

// A daemon is a running wavegate binary.
type daemon struct {
	process
	started time.Time
}

// startDaemon runs the binary with a new data folder, behind a trusted proxy on
// this machine. The log goes into a file.
func startDaemon(t *testing.T, binary, guard string, more ...string) daemon {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, append([]string{
		"-listen", "127.0.0.1:0", "-data-dir", dir, "--trusted-proxies", "127.0.0.1/32",
		"-access-keychain", filepath.Join(guard, keychainFile), "--policy", filepath.Join(guard, policyFile),
	}, more...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, []string{}, log
	d := daemon{started: time.Now()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", binary, err)
		}
	})
	d.pid = cmd.Process.Pid
	if !eventually(func() bool { d.addr = announcedAddress(log.Name()); return d.addr != "" }) {
		t.Fatalf("%s does not say where it listens", binary)
	}
	return d
}

// announcedAddress returns the address that the log names, or "".
func announcedAddress(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	for whole := range strings.Lines(string(text)) {
		var line struct{ Msg, Address string }
		if json.Unmarshal([]byte(whole), &line) == nil && line.Msg == "listening" {
			return line.Address
		}
	}
	return ""
}

// eventually waits until done reports true, and reports whether it did.
func eventually(done func() bool) bool {
	deadline, tick := time.After(patience), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// residentMB returns the memory of the process that is in RAM, in MB.
func (p process) residentMB(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\nVmRSS:")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	return number(t, kb) / 1024
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// startOther runs a proxy that is not ours, with a configuration that names its
// address and the upstream's. It reports whether the program is installed.
func startOther(t *testing.T, program, config, upstream string, args ...string) (p process, installed bool) {
	t.Helper()
	exe, err := exec.LookPath(program)
	if err != nil {
		return process{}, false
	}
	dir, addr := t.TempDir(), freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	text := strings.NewReplacer("DIR", dir, "LISTEN", addr, "PORT", port, "UPSTREAM", upstream).Replace(config)
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append(args, file)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, []string{"HOME=" + dir}, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		log.Close()
	})
	if !eventually(func() bool { return listens(addr) }) {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("%s does not listen on %s:\n%s", program, addr, text)
	}
	return process{addr, cmd.Process.Pid}, true
}

// processorTime returns the processor time that a process and those that it
// has started have used so far.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	const schedulerClock = 2 // CPUCLOCK_SCHED: nanoseconds, of all threads
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &ts); err != nil {
		t.Fatalf("processor time of process %d: %v", pid, err)
	}
	sum := time.Duration(ts.Nano())
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // by the thread that started them
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		children, _ := os.ReadFile(list) // the thread may have ended
		for child := range strings.FieldsSeq(string(children)) {
			sum += processorTime(t, int(number(t, child)))
		}
	}
	return sum
}

// freeAddress returns an address that was free a moment ago: these programs
// cannot say which port the system chose.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// listens reports whether something listens on the address.
func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

const nginxConfig = `daemon off;
worker_processes auto;
pid DIR/pid;
error_log DIR/error.log;
events { worker_connections 1024; }
http {
  access_log DIR/access.log;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  keepalive_requests 100000000;
  upstream app { server UPSTREAM; keepalive 64; keepalive_requests 100000000; }
  server {
    listen LISTEN;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`

const caddyConfig = `{
	admin off
	auto_https off
	http_port PORT
}
http:// {
	bind 127.0.0.1
	reverse_proxy UPSTREAM
}
`
