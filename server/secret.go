package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"

	"wavegate/keychain/durable"
)

// minSecretLength is the shortest line that the secret file may hold, in bytes.
const minSecretLength = 32

// A masterSecret is the content of the secret file: every other key of the
// server is derived from it, so that replicas that share the file agree. The
// first line is the current one; the others still verify.
type masterSecret [][]byte

// loadSecret reads the secret file and makes it, with mode 0600, when there is
// none.
func loadSecret(path string) (masterSecret, error) {
	data, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = createSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	return parseSecret(path, data)
}

// checkSecret is loadSecret for a check that changes nothing: a secret that
// does not exist yet is made in memory.
func checkSecret(path string) (masterSecret, error) {
	data, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = newSecret(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	return parseSecret(path, data)
}

// newSecret returns the content of a new secret file.
func newSecret() []byte {
	var raw [32]byte
	rand.Read(raw[:])
	return append(hex.AppendEncode(nil, raw[:]), '\n')
}

func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	return os.ReadFile(path)
}

// createSecret writes a new secret unless another process was faster, and
// returns what the file then holds.
func createSecret(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("%w: make the folder writable, or name another with -data-dir or --secret-file", err)
	}
	var data []byte
	err := durable.WithLock(path, func() error {
		var err error
		if data, err = readSecret(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		data = newSecret()
		return durable.WriteFile(path, data, 0o600)
	})
	return data, err
}

func parseSecret(path string, data []byte) (masterSecret, error) {
	var m masterSecret
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(line) < minSecretLength {
			return nil, fmt.Errorf("secret file: %s:%d: a secret needs at least %d characters", path, n, minSecretLength)
		}
		m = append(m, bytes.Clone(line))
	}
	if len(m) == 0 {
		return nil, fmt.Errorf("secret file: %s is empty: remove it to have one made, or restore it from your backup", path)
	}
	return m, nil
}

// keys derives one 32-byte key for each line of the secret file, the current one
// first. Keys of different purposes have nothing to do with one another.
func (m masterSecret) keys(purpose string) ([][]byte, error) {
	keys := make([][]byte, len(m))
	for i, secret := range m {
		key, err := hkdf.Key(sha256.New, secret, nil, "wavegate "+purpose, 32)
		if err != nil {
			return nil, fmt.Errorf("derive %s key: %w", purpose, err)
		}
		keys[i] = key
	}
	return keys, nil
}

// signingKeys derives one P-256 key for each line of the secret file, the
// current one first.
func (m masterSecret) signingKeys(purpose string) ([]*ecdsa.PrivateKey, error) {
	keys := make([]*ecdsa.PrivateKey, len(m))
	for i, secret := range m {
		key, err := deriveP256(secret, purpose)
		if err != nil {
			return nil, fmt.Errorf("derive %s key: %w", purpose, err)
		}
		keys[i] = key
	}
	return keys, nil
}

// deriveP256 makes a private key from 64 extra random bits more than the curve
// order has, so that the reduction has no bias (FIPS 186-5, A.2.1).
func deriveP256(secret []byte, purpose string) (*ecdsa.PrivateKey, error) {
	curve := elliptic.P256()
	seed, err := hkdf.Key(sha256.New, secret, nil, "wavegate "+purpose+" P-256", 40)
	if err != nil {
		return nil, err
	}
	one := big.NewInt(1)
	d := new(big.Int).SetBytes(seed)
	d.Mod(d, new(big.Int).Sub(curve.Params().N, one))
	d.Add(d, one)
	return ecdsa.ParseRawPrivateKey(curve, d.FillBytes(make([]byte, 32)))
}
