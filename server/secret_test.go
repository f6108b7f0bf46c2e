package server

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestSecretIsMadeOnceWithMode0600(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "secret")
	got := make([]masterSecret, 20)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			m, err := loadSecret(path)
			if err != nil {
				t.Error(err)
			}
			got[i] = m
		})
	}
	wg.Wait()
	for _, m := range got {
		if len(m) != 1 || string(m[0]) != string(got[0][0]) {
			t.Fatalf("two starts made two secrets")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestSecretFileIsRefused(t *testing.T) {
	tests := []struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		{"empty", "", 0o600, "is empty"},
		{"short", "abc\n", 0o600, ":1: a secret needs at least 32"},
		{"second line short", strings.Repeat("a", 32) + "\nabc\n", 0o600, ":2: a secret"},
		{"readable by others", strings.Repeat("a", 32) + "\n", 0o644, "chmod 600"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := loadSecret(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "aaaa") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestSigningKeysFollowTheSecretFile(t *testing.T) {
	old := masterSecret{[]byte(strings.Repeat("o", 32))}
	both := masterSecret{[]byte(strings.Repeat("n", 32)), old[0]}
	was, err := old.signingKeys("assertion")
	if err != nil {
		t.Fatal(err)
	}
	now, err := both.signingKeys("assertion")
	if err != nil {
		t.Fatal(err)
	}
	other, err := old.signingKeys("something else")
	if err != nil {
		t.Fatal(err)
	}
	if !now[1].Equal(was[0]) {
		t.Error("the same secret made another key: replicas would not agree")
	}
	if now[0].Equal(was[0]) || other[0].Equal(was[0]) {
		t.Error("another secret or purpose made the same key")
	}
}
