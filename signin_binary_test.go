package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
	"wavegate/server/store/storetest"
)

// TestSessionsSurviveRestarts stops and kills the program.
func TestSessionsSurviveRestarts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store string) {
		s := newSite(t, store)
		g := s.start()
		ann, dora := newPerson(t), newPerson(t)
		ann.signIn(g, "ann")
		dora.signInAtProvider(g, g)
		var token struct {
			Value string `json:"access_token"`
		}
		must(t, json.Unmarshal([]byte(ann.send(g, http.StatusOK, "POST", "/_auth/token", url.Values{}).body), &token))
		left := newPerson(t)
		left.signIn(g, "bob")
		cookie := left.cookie()
		left.send(g, http.StatusSeeOther, "POST", "/_auth/logout", url.Values{})

		for _, end := range []func(*gate){(*gate).stop, (*gate).Kill} {
			end(g)
			g = s.start()
			ann.isIn("ann", g)
			dora.isIn("dora", g)
			program := newPerson(t)
			if a := program.send(g, http.StatusOK, "GET", "/app", nil, "Authorization", "Bearer "+token.Value); a.body != "ann" {
				t.Errorf("the token opens the app for %q", a.body)
			}
			keep(t, left, cookie)
			if left.passes(g) {
				t.Error("a session that had ended is alive again")
			}
		}
	})
}

// TestKillInTheMiddleOfLoginsLosesNoneThatWasAnswered has people sign in side by
// side when the program is killed: every cookie that was handed out is good.
func TestKillInTheMiddleOfLoginsLosesNoneThatWasAnswered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store string) {
		s := newSite(t, store)
		for round := range 3 {
			g := s.start()
			answered := make(chan *person, 1<<16)
			var work sync.WaitGroup
			for range 6 {
				work.Go(func() {
					for {
						p := newPerson(t)
						if a, err := p.try(g, "POST", "/_auth/login", url.Values{"username": {"ann"}, "password": {"ann-password"}}); err != nil || a.StatusCode != http.StatusSeeOther {
							return // killed
						}
						answered <- p
					}
				})
			}
			first := make([]*person, 0, 20*(round+1))
			for range cap(first) {
				select {
				case p := <-answered:
					first = append(first, p)
				case <-time.After(patience):
					t.Fatalf("nobody signs in:\n%s", g.Log)
				}
			}
			g.Kill()
			work.Wait()
			close(answered)
			g = s.start()
			for _, p := range first {
				p.isIn("ann", g)
			}
			for p := range answered {
				p.isIn("ann", g)
			}
			g.stop()
		}
	})
}

// TestKillsLeaveTheUsersFileWhole kills the server while people change their
// passwords, and commands that add users beside it.
func TestKillsLeaveTheUsersFileWhole(t *testing.T) {
	s := newSite(t, "")
	passwords := map[string][]string{} // the last that was acknowledged, and those that were asked for since
	for _, name := range []string{"ann", "bob", "carl"} {
		passwords[name] = []string{name + "-password"}
	}
	added := map[string]bool{}
	for round := range 2 {
		g := s.start()
		var mu sync.Mutex // guards passwords and added
		var work sync.WaitGroup
		changed := make(chan struct{}, 1<<16)
		people := map[string]*person{}
		for name, before := range passwords {
			people[name] = newPerson(t)
			people[name].signInWith(g, name, before[0])
		}
		for name, p := range people {
			work.Go(func() { changePasswords(p, g, name, round, &mu, passwords, changed) })
		}
		killed := make(chan struct{})
		work.Go(func() {
			for i := 0; !isClosed(killed); i++ {
				name := fmt.Sprintf("user-%d-%d", round, i)
				if addUserAndKill(t, s, name, time.Duration(i%4)*100*time.Millisecond) {
					mu.Lock()
					added[name] = true
					mu.Unlock()
				}
			}
		})
		for range 3 {
			select {
			case <-changed:
			case <-time.After(2 * patience):
				t.Fatalf("no password is changed:\n%s", g.Log)
			}
		}
		g.Kill()
		close(killed)
		work.Wait()
		checkUsersFile(t, s.users, passwords, added)
	}
}

// changePasswords changes a person's password until the server is killed.
func changePasswords(p *person, g *gate, name string, round int, mu *sync.Mutex, passwords map[string][]string, changed chan<- struct{}) {
	for i := 0; ; i++ {
		next := fmt.Sprintf("%s-password-%d-%d", name, round, i)
		mu.Lock()
		current := passwords[name][0]
		passwords[name] = append(passwords[name], next)
		mu.Unlock()
		a, err := p.changePassword(g, current, next)
		switch {
		case err != nil:
			return // killed
		case a.StatusCode == http.StatusNoContent:
			mu.Lock()
			passwords[name] = []string{next}
			mu.Unlock()
			changed <- struct{}{}
		case a.StatusCode != http.StatusServiceUnavailable: // too much to compare at once
			p.t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
			return
		}
	}
}

// changePassword changes a password by the API.
func (p *person) changePassword(g *gate, current, next string) (reply, error) {
	body, err := json.Marshal(map[string]string{"current_password": current, "new_password": next})
	if err != nil {
		return reply{}, err
	}
	return p.tryBody(g, "POST", "/v1/auth/password", string(body), "Content-Type", "application/json")
}

// addUserAndKill runs --create-user, which it kills after a while; 0 is never. It
// reports whether the command said that the user was added.
func addUserAndKill(t *testing.T, s *site, name string, after time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(after, patience))
	defer cancel()
	cmd := exec.CommandContext(ctx, string(shipped.program(t)), "--create-user", name, "--users-file", s.users)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, []string{"HOME=" + s.dir}, strings.NewReader(name+"-password\n")
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() == nil {
		t.Errorf("--create-user %s: %v\n%s", name, err, out)
	}
	return err == nil
}

// checkUsersFile compares the users file with what was acknowledged, and leaves
// in passwords those that count.
func checkUsersFile(t *testing.T, path string, passwords map[string][]string, added map[string]bool) {
	t.Helper()
	names, err := keychain.Users(path).List()
	must(t, err)
	for name := range added {
		if !slices.Contains(names, name) {
			t.Errorf("the user %s was added and is not there", name)
		}
	}
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.HasSuffix(string(text), "\n") {
		t.Error("the last line is not whole")
	}
	hashes := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, hash, _ := strings.Cut(strings.TrimSpace(line), ":")
		hashes[name] = hash
	}
	for name, may := range passwords {
		i := slices.IndexFunc(may, func(password string) bool {
			return bcrypt.CompareHashAndPassword([]byte(hashes[name]), []byte(password)) == nil
		})
		if i < 0 {
			t.Fatalf("%s has none of the passwords %q", name, may)
		}
		passwords[name] = may[i : i+1]
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
