package keystest

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const examples = "../../examples/keys"

// TestDocumentedCommandsWork runs what each system documents, as a reader of the
// examples does, and finds every command of docs/as-documented.md among what ran.
func TestDocumentedCommandsWork(t *testing.T) {
	for heading, name := range map[string]string{
		"WAVE": "wave", "Wayvo": "wayvo", "WAVIS": "wavis", "The common guide": "generic",
		"WAVE with OAuth": "oauth-wave", "Wayvo with OAuth": "oauth-wayvo", "The common guide with OAuth": "oauth-generic",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := readScript(t, name)
			at := script.follow(t)
			output, err := script.run(t, at)
			if err != nil {
				t.Fatalf("%s: %v\n%s", script.path, err, output)
			}
			for _, secret := range []string{leaked.FindString(output), at.login, at.user} {
				if _, part, _ := strings.Cut(secret, ":"); secret != "" && strings.Contains(output, cmp.Or(part, secret)) {
					t.Errorf("it printed a secret, %.20q…", secret)
				}
			}
			for _, command := range documented(t, heading) {
				if !strings.Contains(script.head, "\n#   "+command) && !strings.Contains(output, "\n$ "+command+"\n") {
					t.Errorf("docs/as-documented.md shows what the script does not run:\n%s", command)
				}
			}
		})
	}
}

// leaked is what a whole key or token looks like.
var leaked = regexp.MustCompile(`_(live|test|dev|trial)_[1-9a-f][0-9a-f]{31}|eyJ[\w-]{9,}|wg(ac|rt|cs|dc)_[\w-]{9,}`)

// TestScriptsNoticeAnotherAnswer: a script whose answers are not as documented
// ends with an error that names its line.
func TestScriptsNoticeAnotherAnswer(t *testing.T) {
	t.Parallel()
	script := readScript(t, "wayvo")
	at := place{url: startGate(t, t.TempDir(), "--policy", policyOf(t, "generic"))}
	output, err := script.run(t, at)
	if err == nil || !regexp.MustCompile(`wayvo\.sh:\d+: \.api_key\.role is null, want integration`).MatchString(output) {
		t.Errorf("got %v and\n%s", err, output)
	}
	at.login = "nobody:nothing"
	output, err = script.run(t, at)
	if err == nil || !regexp.MustCompile(`wayvo\.sh:\d+: the status is 401, want 201`).MatchString(output) {
		t.Errorf("got %v and\n%s", err, output)
	}
}

// TestWaveTriesItsWholeScopeTable: no scope of the policy is left out of the
// script's table.
func TestWaveTriesItsWholeScopeTable(t *testing.T) {
	policy, err := os.ReadFile(policyOf(t, "wave"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(readScript(t, "wave").text, "<<'TABLE'\n")
	table, _, _ = strings.Cut(table, "TABLE\n")
	tried := map[string]bool{}
	for line := range strings.Lines(table) {
		tried[strings.Fields(line)[0]] = true
	}
	scopes := regexp.MustCompile(`(?m)^  (\w+:(?:read|write)):$`).FindAllStringSubmatch(string(policy), -1)
	if len(scopes) != 11 || len(tried) != len(scopes) {
		t.Errorf("the policy has %d scopes, the script tries %d; want 11", len(scopes), len(tried))
	}
	for _, s := range scopes {
		if !tried[s[1]] {
			t.Errorf("the script does not try %s", s[1])
		}
	}
}

// TestExamplePoliciesPassTheCheck checks every policy of the folder as a reader
// would before starting.
func TestExamplePoliciesPassTheCheck(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(files) != 5 {
		t.Fatalf("got %q and %v, want five policies", files, err)
	}
	for _, file := range files {
		name, dir := strings.TrimSuffix(filepath.Base(file), ".yaml"), t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "session.secret"), []byte(strings.Repeat("s", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		out := program.Run(t, dir, "--policy", policyOf(t, name), "--check")
		if !strings.Contains(out, "configuration is good") {
			t.Errorf("%s: it printed\n%s", file, out)
		}
	}
}

// A script is one of examples/keys/.
type script struct {
	path string
	text string
	head string // the comment at its beginning
}

func readScript(t *testing.T, name string) script {
	t.Helper()
	path := filepath.Join(examples, name+".sh")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "\nsource ")
	return script{path: path, text: string(text), head: head}
}

// A place is a running wavegate, and who may do something there: ID:SECRET of an
// access key and NAME:PASSWORD of a user, "" where the head of a script makes none.
type place struct{ url, login, user string }

// follow does what the head of the script says: it makes keys, users and files, and
// starts wavegate.
func (s script) follow(t *testing.T) (at place) {
	t.Helper()
	dir := t.TempDir()
	for _, m := range regexp.MustCompile(`(?m)^#   ([^#\n]*)`).FindAllStringSubmatch(s.head, -1) {
		line, isGate := strings.CutPrefix(m[1], "wavegate ")
		args := strings.Fields(line)
		last := len(args) - 1
		switch {
		case !isGate:
			shell(t, dir, line)
		case args[max(0, last-1)] == "--policy":
			args[last] = policyOf(t, strings.TrimSuffix(filepath.Base(args[last]), ".yaml"))
			at.url = startGate(t, dir, args...)
			return at
		case args[0] == "--create-user":
			at.user = args[1] + ":" + strings.TrimSpace(program.Run(t, dir, args...))
		default:
			if pair := regexp.MustCompile(`_ID=(\w+)\n.*_SECRET=(\w+)`).FindStringSubmatch(program.Run(t, dir, args...)); pair != nil {
				at.login = pair[1] + ":" + pair[2]
			}
		}
	}
	t.Fatalf("the head of %s does not say how to start wavegate", s.path)
	return at
}

// shell runs a line of a script's head that makes a file.
func shell(t *testing.T, dir, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// run runs the script and returns all that it printed.
func (s script) run(t *testing.T, at place) (output string, err error) {
	t.Helper()
	for _, need := range []string{"bash", "curl", "jq"} {
		needs(t, need)
	}
	cmd := exec.CommandContext(t.Context(), "bash", s.path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "WAVEGATE_URL=" + at.url, "WAVEGATE_LOGIN=" + at.login, "WAVEGATE_USER=" + at.user}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// needs skips the test where a program is not installed; in continuous integration
// that is a failure.
func needs(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; get it with: apt-get install %s", name, name)
	}
	t.Skipf("%s is missing; get it with: apt-get install %s", name, name)
}

func policyOf(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(examples, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// documented returns the commands that docs/as-documented.md shows below a
// heading. One that goes on after a backslash comes on one line, as bash tells it;
// within quotes it has its lines.
func documented(t *testing.T, heading string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/as-documented.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var commands []string
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(section, -1) {
		joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(block[1], "")
		open := ""
		for line := range strings.Lines(joined) {
			open += line
			if strings.Count(open, "'")%2 == 1 {
				continue // it goes on in the next line
			}
			if open = strings.TrimSpace(open); open != "" {
				commands = append(commands, open)
			}
			open = ""
		}
	}
	if !found || len(commands) < 3 {
		t.Fatalf("docs/as-documented.md shows %q below %q", commands, heading)
	}
	return commands
}
