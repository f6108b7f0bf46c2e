package tlsconf

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewSaysWhatIsWrongWithTheFiles(t *testing.T) {
	ca := newTestCA(t, "ca")
	certPEM, keyPEM := ca.issue(t, "gate.example.test", nil)
	_, otherKey := ca.issue(t, "other.example.test", nil)
	keyDER, _ := pem.Decode(keyPEM)
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", keyDER.Bytes, []byte("x"), x509.PEMCipherAES256) //lint:ignore SA1019 operators still have such files
	if err != nil {
		t.Fatal(err)
	}
	damaged := pemOf("CERTIFICATE", []byte("not DER"))
	for _, tt := range []struct {
		name      string
		cert, key []byte
		want      []string
	}{
		{"key does not fit", certPEM, otherKey, []string{"key.pem does not belong to the certificate in", "cert.pem (issued to gate.example.test)", "give the key that this certificate was requested with"}},
		{"chain before the certificate", append(ca.pem(), certPEM...), keyPEM, []string{"own certificate is number 2 in the file: put it first"}},
		{"encrypted key", certPEM, pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), []string{"key.pem: the key is encrypted", "openssl pkey -in "}},
		{"encrypted key, old style", certPEM, pem.EncodeToMemory(legacy), []string{"the key is encrypted"}},
		{"swapped", keyPEM, certPEM, []string{"cert.pem: holds a private key and no certificate: were the files swapped?", "key.pem: holds a certificate and no private key: were the files swapped?"}},
		{"empty", nil, nil, []string{"cert.pem: holds no certificate in PEM form", "key.pem: holds no key in PEM form"}},
		{"damaged", append(certPEM, damaged...), pemOf("PRIVATE KEY", []byte("x")), []string{"cert.pem: certificate number 2 is damaged", "key.pem: the key is damaged"}},
		{"another kind of key", certPEM, pemOf("OPENSSH PRIVATE KEY", []byte("x")), []string{"holds no private key that TLS can use"}},
		{"too large", make([]byte, maxPEM+1), keyPEM, []string{"cert.pem: larger than 1048576 bytes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := New(Config{CertFile: write(t, dir, "cert.pem", tt.cert), KeyFile: write(t, dir, "key.pem", tt.key)})
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines > 2 {
				t.Errorf("got %d lines, want one for each file:\n%v", lines, err)
			}
			if tail := string(keyDER.Bytes[len(keyDER.Bytes)-8:]); strings.Contains(err.Error(), tail) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestNewNamesEveryFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	_, err := New(Config{CertFile: filepath.Join(dir, "none.crt"), KeyFile: dir, ClientCAFile: filepath.Join(dir, "none.ca")})
	for _, want := range []string{
		"--tls-cert-file " + dir + "/none.crt: no such file or directory: check the path",
		"--tls-key-file " + dir + ": is a directory: check the path",
		"--tls-client-ca-file " + dir + "/none.ca: no such file or directory",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestCertificateAndKeyInOneFile(t *testing.T) {
	ca := newTestCA(t, "ca")
	certPEM, keyPEM := ca.issue(t, "gate.example.test", nil)
	both := write(t, t.TempDir(), "both.pem", append(keyPEM, certPEM...))
	newSource(t, Config{CertFile: both, KeyFile: both})
}

func TestWarnings(t *testing.T) {
	ca := newTestCA(t, "ca")
	day := 24 * time.Hour
	dates := func(from, to time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to)
		}
	}
	for _, tt := range []struct {
		name string
		edit func(*x509.Certificate)
		mode os.FileMode
		want []string
	}{
		{"fine", dates(-day, 90*day), 0o600, nil},
		{"fine for a group", dates(-day, 90*day), 0o640, nil},
		{"short-lived by design", dates(-day, 5*day), 0o600, nil},
		{"expired", dates(-90*day, -day), 0o600, []string{"the certificate expired on "}},
		{"early", dates(day, 90*day), 0o600, []string{"is not valid before"}},
		{"ends soon", dates(-90*day, 5*day), 0o600, []string{"the certificate expires on"}},
		{"no names", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }, 0o600, []string{"no subject alternative names"}},
		{"open key", nil, 0o644, []string{"every user of this machine can read the key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			certPEM, keyPEM := ca.issue(t, "gate.example.test", tt.edit)
			cfg := Config{CertFile: write(t, dir, "cert.pem", certPEM), KeyFile: write(t, dir, "key.pem", keyPEM)}
			if err := os.Chmod(cfg.KeyFile, tt.mode); err != nil {
				t.Fatal(err)
			}
			got := newSource(t, cfg).Warnings()
			if !slices.EqualFunc(got, tt.want, strings.Contains) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWarningOfAShortRSAKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ca := newTestCA(t, "ca")
	template := &x509.Certificate{DNSNames: []string{"a.test"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := newSource(t, Config{
		CertFile: write(t, dir, "cert.pem", pemOf("CERTIFICATE", der)),
		KeyFile:  write(t, dir, "key.pem", pemOf("PRIVATE KEY", pkcs8(t, key))),
	})
	if got := s.Warnings(); len(got) != 1 || !strings.Contains(got[0], "1024 bits is too short") {
		t.Errorf("got %q, want one warning of the short key", got)
	}
}

func FuzzPEM(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := parseCertificates(data)
		if (err == nil) != (len(certs) > 0) {
			t.Errorf("got %d certificates and error %v", len(certs), err)
		}
		key, err := parseKey(data)
		if (err == nil) != (key != nil) {
			t.Errorf("got key %v and error %v", key != nil, err)
		}
	})
}
