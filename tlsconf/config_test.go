package tlsconf

import (
	"strings"
	"testing"
)

func TestValidateNamesEveryProblemByItsFlag(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string // parts of the error; none for no error
	}{
		{"plain HTTP", Config{}, nil},
		{"files", Config{CertFile: "c", KeyFile: "k", ClientCAFile: "ca"}, nil},
		{"self-signed", Config{SelfSigned: true, DataDir: "d", Names: []string{"gate.test", "*.gate.test", "10.0.0.1", "fd00::1"}}, nil},
		{"names without self-signed are unused", Config{Names: []string{"!"}}, nil},
		{"acme", Config{ACMEDomains: []string{"gate.example.test", "WWW.example.test."}, ACMEEmail: "me@example.test", ACMEDirectoryURL: "https://ca.test/dir", DataDir: "d"}, nil},
		{"certificate without key", Config{CertFile: "c"}, []string{"--tls-cert-file needs --tls-key-file"}},
		{"key without certificate", Config{KeyFile: "k"}, []string{"--tls-key-file needs --tls-cert-file"}},
		{"two sources", Config{CertFile: "c", KeyFile: "k", SelfSigned: true, DataDir: "d"}, []string{"--tls-cert-file with --tls-key-file and --tls-self-signed are set"}},
		{"three sources", Config{CertFile: "c", KeyFile: "k", SelfSigned: true, DataDir: "d", ACMEDomains: []string{"a.test"}}, []string{"and --tls-self-signed and --tls-acme-domains"}},
		{"client CA without TLS", Config{ClientCAFile: "ca"}, []string{"--tls-client-ca-file needs TLS"}},
		{"self-signed without folder", Config{SelfSigned: true}, []string{"--tls-self-signed needs --data-dir"}},
		{"acme without folder", Config{ACMEDomains: []string{"a.test"}}, []string{"--tls-acme-domains needs --data-dir"}},
		{"acme settings without domains", Config{ACMEEmail: "a@b.test", ACMEDirectoryURL: "https://ca.test", ACMECAFile: "f"}, []string{"--tls-acme-email needs", "--tls-acme-directory-url needs", "--tls-acme-ca-file needs"}},
		{"bad name", Config{SelfSigned: true, DataDir: "d", Names: []string{"a b"}}, []string{`"a b" is neither`}},
		{"all at once", Config{
			DataDir: "d", ACMEEmail: "nobody", ACMEDirectoryURL: "http://ca.test",
			ACMEDomains: []string{"*.a.test", "10.0.0.1", "münchen.test", "localhost", "a..test", "-a.test", ""},
		}, []string{
			`"*.a.test" is a wildcard`, `"10.0.0.1" is an IP address`, `"münchen.test" is not ASCII`, `"localhost" has no dot`,
			`"a..test" is not a host name`, `"-a.test" is not a host name`, `"" is not a host name`,
			`--tls-acme-email: "nobody"`, "--tls-acme-directory-url must be an https:// URL",
		}},
		{"too many domains", Config{DataDir: "d", ACMEDomains: make([]string, maxDomains+1)}, []string{"101 domains are more than the 100"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.cfg.Validate()
			if (err != nil) != (len(tt.want) > 0) {
				t.Fatalf("got %v, want an error: %t", err, len(tt.want) > 0)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestDirectoryURLWithPasswordIsNotShown(t *testing.T) {
	err := Config{DataDir: "d", ACMEDomains: []string{"a.test"}, ACMEDirectoryURL: "https://me:canary@ca.test/"}.Validate()
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

func TestEnabled(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want bool
	}{
		{Config{}, false},
		{Config{DataDir: "d", Names: []string{"a.test"}, ClientCAFile: "f"}, false},
		{Config{CertFile: "c"}, true}, // and Validate refuses it: never plain HTTP
		{Config{KeyFile: "k"}, true},
		{Config{SelfSigned: true}, true},
		{Config{ACMEDomains: []string{"a.test"}}, true},
	} {
		if got := tt.cfg.Enabled(); got != tt.want {
			t.Errorf("%+v: got %t, want %t", tt.cfg, got, tt.want)
		}
	}
}

func TestNewRefusesHalfAConfigurationRatherThanServePlainHTTP(t *testing.T) {
	for _, cfg := range []Config{{}, {CertFile: "c"}, {KeyFile: "k"}, {ClientCAFile: "f"}} {
		if s, err := New(cfg); err == nil || s != nil {
			t.Errorf("New(%+v): got no error", cfg)
		}
	}
}
