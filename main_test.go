package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // for the command sql
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"wavegate": main})
}

// TestScripts drives the program as a user would: one script a surface.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition:           missing,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitlog": waitLog,
			"signal":  sendSignal,
			"get":     get,
			"await":   awaitStatus,
			"sql":     runSQL,
			"cert":    makeCert,
		},
	})
}

// missing is the condition [missing:PROGRAM]. Where everything must be there,
// in CI, it is an error instead.
func missing(cond string) (bool, error) {
	program, ok := strings.CutPrefix(cond, "missing:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if _, err := exec.LookPath(program); err == nil {
		return false, nil
	}
	if os.Getenv("CI") == "true" {
		return false, fmt.Errorf("%s is not installed", program)
	}
	return true, nil
}

// waitLog is "waitlog FILE PATTERN [VARIABLE]": it waits until a line of the
// file matches, and puts the first group into the variable.
func waitLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitlog FILE PATTERN [VARIABLE]")
	}
	pattern := regexp.MustCompile(args[1])
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		data, _ := os.ReadFile(ts.MkAbs(args[0]))
		if found := pattern.FindSubmatch(data); found != nil {
			if len(args) > 2 {
				ts.Setenv(args[2], string(found[1]))
			}
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s never held %s:\n%s", args[0], args[1], data)
		}
	}
}

// sendSignal is "signal NAME FILE": it sends a signal to the process whose
// number is in the file.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal TERM|HUP FILE")
	}
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

// get is "get STATUS URL [KEY|ID SECRET]", with an API key or an access key.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 4 {
		ts.Fatalf("usage: get STATUS URL [KEY|ID SECRET]")
	}
	got, body := ask(ts, args[1], args[2:])
	if got != args[0] {
		ts.Fatalf("GET %s: got %s, want %s\n%s", args[1], got, args[0], body)
	}
}

// awaitStatus is "await", get that goes on asking for the second in which a running server
// notices what another process did.
func awaitStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 4 {
		ts.Fatalf("usage: await STATUS URL [KEY|ID SECRET]")
	}
	deadline := time.After(time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		got, body := ask(ts, args[1], args[2:])
		if got == args[0] {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("GET %s: still %s after a second, want %s\n%s", args[1], got, args[0], body)
		}
	}
}

// ask sends a request with a credential of one or two words, or none.
func ask(ts *testscript.TestScript, url string, credential []string) (status, body string) {
	req, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	ts.Check(err)
	switch len(credential) {
	case 1:
		req.Header.Set("Authorization", "Bearer "+credential[0])
	case 2:
		req.SetBasicAuth(credential[0], credential[1])
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the script made the certificate
	}}
	res, err := client.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	ts.Check(err)
	return strconv.Itoa(res.StatusCode), string(data)
}

// runSQL is "sql DATABASE STATEMENT…": what somebody could do to a store who has
// its file.
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sql DATABASE STATEMENT...")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	for _, statement := range args[1:] {
		_, err := db.Exec(statement)
		ts.Check(err)
	}
}

// makeCert is "cert CERTFILE KEYFILE": it makes a certificate for 127.0.0.1.
func makeCert(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cert CERTFILE KEYFILE")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{
		args[0]: {Type: "CERTIFICATE", Bytes: cert},
		args[1]: {Type: "PRIVATE KEY", Bytes: der},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}

// invoke runs the program in this process, in a folder of its own.
func invoke(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = run(t.Context(), args, surroundings{env: env, stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}

// inFolder changes to a new folder with the files.
func inFolder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
