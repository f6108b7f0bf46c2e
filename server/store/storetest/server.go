package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// errNoPostgres says how to get what lacks.
var errNoPostgres = errors.New("no PostgreSQL server here: install the Debian package postgresql")

const (
	superuser = "wavegate"
	startTime = time.Minute // to be ready, on a machine that does much else
)

// settings are for a server that is thrown away: nothing of it survives.
var settings = []string{
	"listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
	"shared_buffers=32MB", "max_connections=200", "autovacuum_naptime=1h",
}

// authentication lets everybody in who can open the socket, but the role
// "guarded" with its password alone.
const authentication = "local all guarded scram-sha-256\nlocal all all trust\n"

// A server is a running PostgreSQL of the test binary.
type server struct {
	dir   string // mode 0700, of the user that the server runs as
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended
	names atomic.Int64
}

// start makes a cluster in a folder of its own and starts it on a Unix socket
// there: no port to choose, and nobody else can connect.
func start() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "wavegate-pg-") // not t.TempDir: another user must get in, and paths of sockets are short
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, done: make(chan struct{})}
	if err := s.startBy(bin); err != nil {
		return nil, errors.Join(fmt.Errorf("storetest: %w", err), s.stop())
	}
	return s, nil
}

// binaries returns the newest folder of PostgreSQL's programs: Debian's, or the
// one on the PATH.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(newest), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errNoPostgres
}

// version is the number in /usr/lib/postgresql/15/bin/initdb, 0 for none.
func version(initdb string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	if err != nil {
		return 0
	}
	return n
}

// startBy starts the server from a thread that lasts as long as it does: to the
// kernel the parent is the thread, and threads of Go's can end (see
// endWithParent).
func (s *server) startBy(bin string) error {
	launched := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		launched <- s.launch(bin)
		if s.cmd != nil {
			_ = s.cmd.Wait() // the log says why, see ready
			close(s.done)
		}
	}()
	if err := <-launched; err != nil {
		return err
	}
	return s.ready()
}

// launch makes the cluster and starts the server. The command is set if it runs.
func (s *server) launch(bin string) error {
	attr, err := s.owner()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.SysProcAttr, initdb.Dir, initdb.Env = attr, s.dir, environment()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(authentication), 0o600); err != nil {
		return err
	}
	args := []string{"-D", data, "-k", s.dir}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), args...)
	s.cmd.SysProcAttr, s.cmd.Dir, s.cmd.Env = attr, s.dir, environment()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	return nil
}

// owner is how processes of the server are started. PostgreSQL refuses to run
// as root, so root lends the folder to somebody else.
func (s *server) owner() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{}
	endWithParent(attr)
	if os.Geteuid() != 0 {
		return attr, nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is nobody else: %w", err)
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(who.Gid)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(s.dir, uid, gid)
}

// environment keeps PG… variables of the user out.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// ready waits until the server answers.
func (s *server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		c, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		retry := time.NewTimer(10 * time.Millisecond)
		select {
		case <-retry.C:
			continue
		case <-s.done:
		case <-ctx.Done():
		}
		retry.Stop()
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
	}
}

// stop ends the server at once and removes its folder.
func (s *server) stop() error {
	if s.cmd != nil {
		if err := s.cmd.Process.Signal(syscall.SIGQUIT); err == nil { // immediate shutdown, its children too
			<-s.done
		}
	}
	return os.RemoveAll(s.dir)
}

func (s *server) nextName() string { return fmt.Sprintf("test_%d", s.names.Add(1)) }

// url is the address of a database for the superuser.
func (s *server) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}
