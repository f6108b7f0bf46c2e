package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func selfSigned(dir string, names ...string) Config {
	return Config{SelfSigned: true, DataDir: dir, Names: names}
}

// leafOf returns the certificate that s would give to a handshake.
func leafOf(t *testing.T, s *Source) *x509.Certificate {
	t.Helper()
	cfg, err := s.TLSConfig().GetConfigForClient(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Certificates[0].Leaf
}

func TestSelfSignedServesTheNamesOfThisMachine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "it")
	s := newSource(t, selfSigned(dir, "Gate.Example.Test.", "*.apps.example.test", "192.0.2.7", "gate.example.test"))
	addr := serve(t, s, "127.0.0.1:0")
	pool, err := loadCAs("--cacert", filepath.Join(dir, selfSignedCert), x509.NewCertPool())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.0.0.1", "::1", "localhost", "gate.example.test", "a.apps.example.test", "192.0.2.7"} {
		if _, _, err := get(t, addr, &tls.Config{RootCAs: pool, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	leaf := leafOf(t, s)
	if host, err := os.Hostname(); err == nil && isHostname(host) && leaf.VerifyHostname(host) != nil {
		t.Errorf("hostname %s is missing in %q", host, leaf.DNSNames)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		if ip := a.(*net.IPNet).IP; ip.IsGlobalUnicast() && leaf.VerifyHostname(ip.String()) != nil {
			t.Errorf("address %s is missing in %v", ip, leaf.IPAddresses)
		}
	}
	if leaf.IsCA || !s.NotAfter().Equal(leaf.NotAfter) || s.Warnings() != nil {
		t.Errorf("got CA %t, NotAfter %v, warnings %q", leaf.IsCA, s.NotAfter(), s.Warnings())
	}
}

func TestSelfSignedFilesHaveTheirModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	newSource(t, selfSigned(dir))
	for name, want := range map[string]fs.FileMode{"": 0o700, selfSignedCert: 0o644, selfSignedKey: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q: got mode %o, want %o", name, got, want)
		}
	}
}

func TestSelfSignedIsKeptUnlessItMustChange(t *testing.T) {
	for _, tt := range []struct {
		name   string
		names  []string
		change func(t *testing.T, dir string)
		kept   bool
	}{
		{"nothing changed", nil, func(*testing.T, string) {}, true},
		{"a name less", []string{}, func(*testing.T, string) {}, true},
		{"a name more", []string{"new.example.test"}, func(*testing.T, string) {}, false},
		{"an address more", []string{"192.0.2.9"}, func(*testing.T, string) {}, false},
		{"certificate lost", nil, func(t *testing.T, dir string) { remove(t, dir, selfSignedCert) }, false},
		{"key lost", nil, func(t *testing.T, dir string) { remove(t, dir, selfSignedKey) }, false},
		{"certificate damaged", nil, func(t *testing.T, dir string) { write(t, dir, selfSignedCert, []byte("x")) }, false},
		{"key emptied", nil, func(t *testing.T, dir string) { write(t, dir, selfSignedKey, nil) }, false},
		{"key of another pair", nil, func(t *testing.T, dir string) {
			write(t, dir, selfSignedKey, pemOf("PRIVATE KEY", pkcs8(t, newKey(t))))
		}, false},
		{"key was open to others", nil, func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, selfSignedKey), 0o644); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			names := []string{"gate.example.test"}
			before := leafOf(t, newSource(t, selfSigned(dir, names...)))
			tt.change(t, dir)
			if tt.names != nil {
				names = tt.names
			}
			s := newSource(t, selfSigned(dir, names...))
			if kept := leafOf(t, s).Equal(before); kept != tt.kept {
				t.Errorf("kept: got %t, want %t", kept, tt.kept)
			}
			if again := leafOf(t, newSource(t, selfSigned(dir, names...))); !again.Equal(leafOf(t, s)) {
				t.Error("the start after that made yet another one")
			}
			info, err := os.Stat(filepath.Join(dir, selfSignedKey))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("key: got %v, %v, want mode 600", info.Mode(), err)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestSelfSignedIsRenewedWhileTheServerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := newSource(t, selfSigned(dir))
		first := leafOf(t, s)
		time.Sleep(selfSignedLife - selfSignedRenew - time.Minute)
		if !leafOf(t, s).Equal(first) {
			t.Error("renewed too early")
		}
		time.Sleep(2 * time.Minute)
		second := leafOf(t, s)
		if second.Equal(first) {
			t.Fatal("not renewed in time")
		}
		if want := time.Now().Add(selfSignedLife); !second.NotAfter.Equal(want.Truncate(time.Second)) {
			t.Errorf("NotAfter: got %v, want %v", second.NotAfter, want)
		}
		if kept := leafOf(t, newSource(t, selfSigned(dir))); !kept.Equal(second) {
			t.Error("the renewed pair is not the one on disk")
		}
	})
}

func TestSelfSignedThatCannotBeRenewedStaysAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		s := newSource(t, selfSigned(dir))
		first := leafOf(t, s)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(dir), "data", []byte("a file in the way"))
		time.Sleep(selfSignedLife - selfSignedRenew + time.Minute)
		if !leafOf(t, s).Equal(first) {
			t.Error("the old pair is not in use")
		}
		if got := s.Warnings(); len(got) != 1 || !strings.Contains(got[0], "could not be renewed") {
			t.Errorf("got warnings %q, want one", got)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Minute)
		if leafOf(t, s).Equal(first) || s.Warnings() != nil {
			t.Errorf("not tried again: warnings %q", s.Warnings())
		}
	})
}

func TestSelfSignedSaysWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, selfSignedKey), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := New(selfSigned(dir))
	if err == nil || !strings.Contains(err.Error(), "--tls-self-signed") || !strings.Contains(err.Error(), "--data-dir "+dir) {
		t.Errorf("got %v, want an error that names the flags", err)
	}
}

func TestMachineNamesAreSortedOnceEach(t *testing.T) {
	n := machineNames([]string{"b.test", "B.test.", "a.test", "not a name", "fe80::1%eth0", "::ffff:192.0.2.1", "192.0.2.1"})
	if !slices.IsSorted(n.hosts) || len(slices.Compact(slices.Clone(n.hosts))) != len(n.hosts) {
		t.Errorf("hosts: got %q", n.hosts)
	}
	if len(slices.Compact(slices.Clone(n.addrs))) != len(n.addrs) {
		t.Errorf("addresses: got %v", n.addrs)
	}
	if slices.Contains(n.hosts, "not a name") {
		t.Errorf("hosts: got %q", n.hosts)
	}
}
