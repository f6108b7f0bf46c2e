package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// largeBody is what goes each way through the program, in bytes.
const largeBody = 10 << 30

// maxMemory is what the program may have had in memory at its peak, in KiB.
const maxMemory = 64 << 10

// TestTenGigabytesEachWayInConstantMemory sends a body of 10 GB up and takes
// one of 10 GB down through the real program.
func TestTenGigabytesEachWayInConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("20 GB take a while; run without -short")
	}
	app := listen(t)
	go serveLarge(app)
	p := startProgram(t, "-max-request-size", "0", "--upstream", "http://"+app.Addr().String())
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /up HTTP/1.1\r\nHost: a\r\nAuthorization: Basic aWQ6c2VjcmV0\r\nContent-Length: %d\r\n\r\n", int64(largeBody))
	if err := pour(conn, largeBody); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReaderSize(conn, 256<<10)
	if body := readAnswer(t, br); body != strconv.FormatInt(largeBody, 10) {
		t.Errorf("the app counted %s bytes, want %d", body, int64(largeBody))
	}
	fmt.Fprint(conn, "GET /down HTTP/1.1\r\nHost: a\r\nAuthorization: Basic aWQ6c2VjcmV0\r\n\r\n")
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 256<<10))
	if err != nil || n != largeBody {
		t.Errorf("got %d bytes, %v; want %d", n, err, int64(largeBody))
	}
	if peak := p.peakMemory(); peak > maxMemory {
		t.Errorf("the program had %d KiB in memory, want at most %d", peak, maxMemory)
	}
}

func readAnswer(t *testing.T, br *bufio.Reader) string {
	t.Helper()
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %q, %v", res.StatusCode, body, err)
	}
	return string(body)
}

// pour writes n bytes.
func pour(w io.Writer, n int64) error {
	piece := bytes.Repeat([]byte("wavegate"), 32<<10)
	for n > 0 {
		part := piece[:min(n, int64(len(piece)))]
		if _, err := w.Write(part); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return nil
}

// serveLarge is an app that counts what it is sent, or sends much. It speaks
// HTTP by hand, so that the machine's time goes to the program that is tested.
func serveLarge(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			br := bufio.NewReaderSize(conn, 256<<10)
			for {
				req, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, req.Body, make([]byte, 256<<10))
				if req.URL.Path == "/down" {
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", int64(largeBody))
					_ = pour(conn, largeBody)
					continue
				}
				count := strconv.FormatInt(n, 10)
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(count), count)
			}
		}()
	}
}

func listen(t *testing.T) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// A program is a running wavegate, built as it is shipped.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	dir  string
}

// startProgram starts wavegate with the access key id:secret, on
// a free port, in a folder of its own. It is stopped at the end of the test.
func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir()}
	p.cmd = exec.Command(string(shipped.program(t)), append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Dir = p.dir
	p.cmd.Env = []string{"HOME=" + p.dir, "WAVEGATE_ACCESS_KEY_ID=id", "WAVEGATE_ACCESS_KEY_SECRET=secret"}
	log, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	for p.addr == "" && lines.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			p.addr = line.Address
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, log)
	}()
	t.Cleanup(func() { p.stop(drained) })
	if p.addr == "" {
		t.Fatal("the program did not start to listen")
	}
	return p
}

// stop asks the program to end and waits for it.
func (p *program) stop(drained <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	unregister := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	defer unregister()
	<-drained
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the program ended with %v, want exit code 0", err)
	}
}

// peakMemory returns the most that the program had in memory, in KiB.
func (p *program) peakMemory() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if found == nil {
		p.t.Fatalf("no VmHWM in %s", strings.TrimSpace(string(status)))
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}
