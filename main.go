// Wavegate puts sign-in, keys, TLS and routing in front of any HTTP app.
//
//	wavegate --upstream http://127.0.0.1:3000
//
// guards the app on port 3000 and listens on :10101. Run "wavegate --help" for
// every flag, "wavegate --demo" for a guarded sample app.
//
// # Settings
//
// Each flag can also be set by an environment variable (WAVEGATE_ and the
// flag's name in capitals, with _ for -; the flags that waved has answer to
// H2O_WAVE_… as well) or by a line KEY=value of the file that -conf names. The
// flag wins over the environment, the environment over the file, the file over
// the default. --print-config shows what counts and where it came from; --check
// tries everything and starts nothing.
//
// # Files
//
//	.env             settings, KEY=value; another file with -conf
//	.wave-keychain   access keys, ID:bcrypt-hash; another file with -access-keychain
//	.wave-users      users who sign in here, NAME:bcrypt-hash; another file with --users-file
//	./data           the master secret, the certificates made here and, in wavegate.db,
//	                 API keys, sessions, usage, webhooks and the audit log (-data-dir;
//	                 --store keeps what is in wavegate.db elsewhere). All of it is made
//	                 at the first start.
//	./www            files served at the base URL, where the folder exists (-web-dir)
//
// # Signals
//
//	SIGTERM, SIGINT  stop: finish the requests under way, then exit 0; a second one kills
//	SIGHUP           read keychain, users file, policy, headers file and certificates again
//
// # Commands
//
// --create-access-key, --create-user and their like work on the files alone;
// --create-api-key, --list-api-keys and --revoke-api-key on the store, also while
// a server runs, which follows within a second. --explain says rule by rule why a
// request is allowed or refused, --verify-audit whether the audit log is as it was
// written, --check whether a server would start.
//
// # Endpoints
//
// Below the base URL: /_health/live and /_health/ready for monitors,
// /_auth/verify and /_auth/forward for other proxies that ask who may pass, and
// the JWKS that proves the Wave-Assertion header. With a provider (-oidc-*, or
// the policy's) or a users file, people sign in at /_auth/login, come back from
// the provider to /_auth/callback, look after what is theirs at /_portal/ and leave
// at /_auth/logout; programs ask /_auth/userinfo, /_auth/token and
// /_auth/refresh, and the provider reports at /_auth/backchannel-logout who
// signed out there.
//
// Below /v1/auth/ is the API that manages what belongs to this server: keys,
// status, usage, webhooks, audit, lockouts, sessions and users, described for
// machines at /v1/auth/openapi.json. /api/v1/user/api-keys, /api/v1/keys/apikey/rotate
// and /api/v1/onboarding/temp-key are the same in other words. Everything else
// belongs to the guarded apps.
//
// # Exit codes
//
//	0  done, or stopped by a signal after a clean start
//	1  could not listen, read a file or finish what was asked
//	2  wrong flags or settings; nothing was started
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"wavegate/server"
)

// version is stamped at build time with -ldflags "-X main.version=…".
var version = "dev"

// The exit codes.
const (
	exitOK    = 0
	exitFail  = 1 // a file, a port or a task
	exitUsage = 2 // what was asked for makes no sense
)

// A surroundings is what the process was given: the rest of the program sees
// nothing else of it, so that a test can hand in its own.
type surroundings struct {
	env    []string  // KEY=value, as os.Environ returns it
	stdin  io.Reader // a password is read from it, nothing else; nil is empty
	stdout io.Writer
	stderr io.Writer
	reload <-chan os.Signal // asks a running server to read its files again

	ownCollector bool // somebody else set the garbage collector (GOGC)
}

func main() {
	ownCollector := os.Getenv("GOGC") != ""
	if !ownCollector {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from here on a second signal kills
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	os.Exit(run(ctx, os.Args[1:], surroundings{
		env:    os.Environ(),
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
		reload: reload,

		ownCollector: ownCollector,
	}))
}

// run does what args ask for and returns the exit code. A server that it starts
// stops when ctx ends.
func run(ctx context.Context, args []string, in surroundings) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(in.stderr, "wavegate: this is a bug, please report it: %v\n", p)
			code = exitFail
		}
	}()
	line := parseCommandLine(options(), args)
	if answer := line.question(); answer != nil {
		return answer(in)
	}
	r, err := line.resolve(in.env)
	if err != nil {
		return fail(in, err)
	}
	s, problems := r.settings()
	if s.printConfig {
		r.print(in.stdout)
	}
	if len(problems) > 0 {
		return refuse(in, append(problems, s.orderProblems(ctx)...))
	}
	return s.do(ctx, in)
}

// do carries out the command that the settings name; without one it serves.
func (s *settings) do(ctx context.Context, in surroundings) int {
	keys, users := s.server.Keychain.Path, s.server.Users.Path
	switch {
	case s.printConfig:
		return exitOK
	case s.createKey:
		return createKey(in, keys)
	case s.listKeys:
		return listKeys(in, keys)
	case s.removeKey != "":
		return removeKey(in, keys, s.removeKey)
	case s.createUser != "":
		return s.addUser(ctx, in)
	case s.listUsers:
		return listUsers(in, users)
	case s.removeUser != "":
		return removeUser(in, users, s.removeUser)
	case s.createAPIKey:
		return s.addAPIKey(ctx, in)
	case s.listAPIKeys:
		return s.printAPIKeys(ctx, in)
	case s.revokeAPIKey != "":
		return s.endAPIKey(ctx, in)
	case s.explain != "":
		return s.explainRequest(ctx, in)
	case s.verifyAudit:
		return s.checkAudit(ctx, in)
	}
	if err := s.findWebDir(); err != nil {
		return fail(in, err)
	}
	if s.check {
		return s.checkOnly(in)
	}
	return s.serve(ctx, in)
}

// serve runs the server until ctx ends.
func (s *settings) serve(ctx context.Context, in surroundings) int {
	s.warn(in.stderr)
	s.server.Announce = in.stdout
	srv, err := server.New(s.server, in.stderr)
	if err != nil {
		return fail(in, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	if !in.ownCollector {
		helpers.Go(func() { tuneCollector(ctx) })
	}
	helpers.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-in.reload:
				_ = srv.Reload() // it logs what failed; the old stays
			}
		}
	})
	err = srv.Run(ctx)
	cancel()
	helpers.Wait()
	if err != nil {
		return fail(in, err)
	}
	return exitOK
}
