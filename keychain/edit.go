package keychain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain/durable"
)

// Errors of the functions that change a keychain file.
var (
	ErrUnknownID = errors.New("no such key")         // the file is as it was
	ErrIDExists  = errors.New("the ID is in use")    // the file is as it was
	ErrInvalid   = errors.New("not usable as a key") // ID or secret cannot be written or verified
)

// Create adds a new random pair to the keychain at path, which it makes when it
// is missing. Only the hash is written: the secret that it returns can never be
// read again.
func Create(path string) (id, secret string, err error) {
	return create(path, bcrypt.DefaultCost)
}

func create(path string, cost int) (id, secret string, err error) {
	id, secret = randomText(idText, idLen), randomText(secretText, secretLen)
	if err := put(path, id, secret, cost, false); err != nil {
		return "", "", err
	}
	return id, secret, nil
}

// Add adds a pair of the caller's choice. Errors: ErrIDExists, ErrInvalid, or
// what is wrong with the file.
func Add(path, id, secret string) error {
	return put(path, id, secret, bcrypt.DefaultCost, false)
}

// Set gives an ID a new secret, and adds it when it is not there. Errors:
// ErrInvalid, or what is wrong with the file.
func Set(path, id, secret string) error {
	return put(path, id, secret, bcrypt.DefaultCost, true)
}

func put(path, id, secret string, cost int, replace bool) error {
	for _, reason := range []string{idProblem(id), secretProblem(secret)} {
		if reason != "" {
			return fmt.Errorf("%w: %s", ErrInvalid, reason)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), cost) // slow, so not under the lock
	if err != nil {
		return err
	}
	return putHash(path, id, hash, replace)
}

func putHash(path, id string, hash []byte, replace bool) error {
	return edit(path, func(data []byte, records []record) ([]byte, error) {
		at := slices.IndexFunc(records, func(r record) bool { return r.id == id })
		switch {
		case at < 0:
			return appendLine(data, id, hash), nil
		case !replace:
			return nil, fmt.Errorf("keychain %s: %w: %q", path, ErrIDExists, id)
		}
		hashAt := records[at].hashAt
		return slices.Replace(data, hashAt, hashAt+hashLen, hash...), nil
	})
}

// appendLine ends the last line, should it not be ended, and adds one. Its own
// line always is: the next program to append may not look.
func appendLine(data []byte, id string, hash []byte) []byte {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	return fmt.Appendf(data, "%s:%s\n", id, hash)
}

// Remove takes a key out of the file. The error for an ID that is not there
// names it and is an ErrUnknownID.
func Remove(path, id string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keychain %s: %w: %q: %w", path, ErrUnknownID, id, fs.ErrNotExist)
	}
	return edit(path, func(data []byte, records []record) ([]byte, error) {
		at := slices.IndexFunc(records, func(r record) bool { return r.id == id })
		if at < 0 {
			return nil, fmt.Errorf("keychain %s: %w: %q", path, ErrUnknownID, id)
		}
		return slices.Delete(data, records[at].start, records[at].end), nil
	})
}

// List returns the IDs of the file, sorted. A missing file is fs.ErrNotExist.
func List(path string) ([]string, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("keychain: %w", err)
	}
	records, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.id
	}
	slices.Sort(ids)
	return ids, nil
}

// edit replaces the content of the file by what change makes of it, under the
// lock, so that no other writer's change is lost. A file with bad lines is left
// alone: rewriting it could lose what somebody meant. Lines that change does not
// touch keep their bytes.
func edit(path string, change func(data []byte, records []record) ([]byte, error)) error {
	return durable.WithLock(path, func() error {
		mode := fs.FileMode(0o600)
		data, err := readFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("keychain: %w", err)
		default:
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			mode &= info.Mode() // a stricter mode stays, a wider one goes
		}
		records, err := parse(path, data)
		if err != nil {
			return err
		}
		if data, err = change(data, records); err != nil {
			return err
		}
		if len(data) > maxFile {
			return fmt.Errorf("keychain %s: it would grow larger than %d MB", path, maxFile>>20)
		}
		return durable.WriteFile(path, data, mode)
	})
}
