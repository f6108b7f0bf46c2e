package keychain

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain/durable"
)

// Errors of File's methods and of CheckPassword. A file that they are about is
// as it was.
var (
	ErrUnknownID = errors.New("nobody has this ID")
	ErrIDExists  = errors.New("the ID is in use")
	ErrInvalid   = errors.New("not usable as ID or secret") // could not be written, read back or verified
	ErrChanged   = errors.New("changed by somebody else meanwhile")
)

// A File is a keychain or a users file, to be changed. Any number of processes
// may do so at once, while servers read it.
type File struct {
	Path string
	Kind Kind
}

// Users returns the users file at path.
func Users(path string) File { return File{Path: path, Kind: LocalUsers} }

// Create adds a new random access key to the keychain at path, which it makes
// when it is missing. Only the hash is written: the secret that it returns can
// never be read again.
func Create(path string) (id, secret string, err error) { return CreateID(path, "") }

// CreateID is Create for an ID of the caller's choice; "" is a random one. Errors:
// ErrIDExists, ErrInvalid, or what is wrong with the file.
func CreateID(path, id string) (_, secret string, err error) {
	return create(path, id, bcrypt.DefaultCost)
}

func create(path, id string, cost int) (_, secret string, err error) {
	id, secret = cmp.Or(id, randomText(idText, idLen)), randomText(secretText, secretLen)
	if err := (File{Path: path}).put(id, secret, cost, false); err != nil {
		return "", "", err
	}
	return id, secret, nil
}

// Set is File.Set for the keychain at path.
func Set(path, id, secret string) error { return File{Path: path}.Set(id, secret) }

// Remove is File.Remove for the keychain at path.
func Remove(path, id string) error { return File{Path: path}.Remove(id) }

// List is File.List for the keychain at path.
func List(path string) ([]string, error) { return File{Path: path}.List() }

// Add adds a pair of the caller's choice, and makes the file when it is missing.
// Errors: ErrIDExists, for users also where a name differs only by case;
// ErrInvalid; or what is wrong with the file.
func (f File) Add(id, secret string) error {
	return f.put(id, secret, bcrypt.DefaultCost, false)
}

// Set gives an ID a new secret, and adds it when it is not there. Errors:
// ErrInvalid; for users, ErrIDExists where another name differs only by case;
// or what is wrong with the file.
func (f File) Set(id, secret string) error {
	return f.put(id, secret, bcrypt.DefaultCost, true)
}

// CanAdd says why Add would refuse the ID as things are, before anybody thinks
// of a secret for it. The errors are those of Add.
func (f File) CanAdd(id string) error {
	if err := f.Kind.checkID(id); err != nil {
		return err
	}
	records, err := f.records()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.refuseSame(records, id)
}

// Change gives an ID a new secret where its line is still the one that stamp
// was taken of, see Key.Stamp: of two who change a password at once one wins,
// and a user who was removed does not come back. Errors: ErrChanged,
// ErrUnknownID, ErrInvalid, or what is wrong with the file.
func (f File) Change(id, stamp, secret string) error {
	return f.change(id, stamp, secret, bcrypt.DefaultCost)
}

func (f File) change(id, stamp, secret string, cost int) error {
	if err := f.Kind.check(id, secret); err != nil {
		return err
	}
	if _, err := os.Stat(f.Path); errors.Is(err, fs.ErrNotExist) {
		return f.unknown(id)
	}
	hash, err := slowHash(secret, cost)
	if err != nil {
		return err
	}
	return f.edit(func(data []byte, records []record) ([]byte, error) {
		at := slices.IndexFunc(records, func(r record) bool { return r.id == id })
		switch {
		case at < 0:
			return nil, f.unknown(id)
		case stampOf(id, records[at].hash) != stamp:
			return nil, f.worded(ErrChanged, "%q was changed by somebody else meanwhile", id)
		}
		return replaceHash(data, records[at], hash), nil
	})
}

func (f File) put(id, secret string, cost int, replace bool) error {
	if err := f.Kind.check(id, secret); err != nil {
		return err
	}
	hash, err := slowHash(secret, cost) // slow, so not under the lock
	if err != nil {
		return err
	}
	return f.putHash(id, hash, replace)
}

// slowHash makes the hash of a line. Servers call this, and others are waiting there.
func slowHash(secret string, cost int) (hash []byte, err error) {
	inBackground(func() bool {
		hash, err = bcrypt.GenerateFromPassword([]byte(secret), cost)
		return err == nil
	})
	return hash, err
}

func (f File) putHash(id string, hash []byte, replace bool) error {
	return f.edit(func(data []byte, records []record) ([]byte, error) {
		at := slices.IndexFunc(records, func(r record) bool { return r.id == id })
		if at >= 0 && replace {
			return replaceHash(data, records[at], hash), nil
		}
		if err := f.refuseSame(records, id); err != nil {
			return nil, err
		}
		return appendLine(data, id, hash), nil
	})
}

// refuseSame returns an ErrIDExists where the file has the ID, or one that is
// too much like it.
func (f File) refuseSame(records []record, id string) error {
	at := slices.IndexFunc(records, func(r record) bool { return f.Kind.same(r.id, id) })
	switch {
	case at < 0:
		return nil
	case records[at].id != id:
		return f.worded(ErrIDExists, "%q is there, and %q differs from it only by case", records[at].id, id)
	}
	return f.worded(ErrIDExists, "%q is there already", id)
}

func (f File) unknown(id string) error { return f.worded(ErrUnknownID, "%q is not there", id) }

// worded returns the error is in the words of the file's kind: "users file
// .wave-users: user …".
func (f File) worded(is error, format string, args ...any) error {
	w := f.Kind.words()
	return &wordedError{is, fmt.Sprintf("%s %s: %s ", w.file, f.Path, w.entry) + fmt.Sprintf(format, args...)}
}

// appendLine ends the last line, should it not be ended, and adds one. Its own
// line always is: the next program to append may not look.
func appendLine(data []byte, id string, hash []byte) []byte {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	return fmt.Appendf(data, "%s:%s\n", id, hash)
}

func replaceHash(data []byte, r record, hash []byte) []byte {
	return slices.Replace(data, r.hashAt, r.hashAt+hashLen, hash...)
}

// Remove takes a line out of the file. The error for an ID that is not there
// names it and is an ErrUnknownID.
func (f File) Remove(id string) error {
	if _, err := os.Stat(f.Path); errors.Is(err, fs.ErrNotExist) {
		return f.unknown(id)
	}
	return f.edit(func(data []byte, records []record) ([]byte, error) {
		at := slices.IndexFunc(records, func(r record) bool { return r.id == id })
		if at < 0 {
			return nil, f.unknown(id)
		}
		return slices.Delete(data, records[at].start, records[at].end), nil
	})
}

// List returns the IDs of the file, sorted. A missing file is fs.ErrNotExist.
func (f File) List() ([]string, error) {
	records, err := f.records()
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

// records returns what the file holds. A missing file is fs.ErrNotExist.
func (f File) records() ([]record, error) {
	data, err := readFile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Kind.words().file, err)
	}
	return f.parse(data)
}

// edit replaces the content of the file by what change makes of it, under the
// lock, so that no other writer's change is lost. A file with bad lines is left
// alone: rewriting it could lose what somebody meant. Lines that change does not
// touch keep their bytes.
func (f File) edit(change func(data []byte, records []record) ([]byte, error)) error {
	return durable.WithLock(f.Path, func() error {
		mode := fs.FileMode(0o600)
		data, err := readFile(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("%s: %w", f.Kind.words().file, err)
		default:
			info, err := os.Stat(f.Path)
			if err != nil {
				return err
			}
			mode &= info.Mode() // a stricter mode stays, a wider one goes
		}
		records, err := f.parse(data)
		if err != nil {
			return err
		}
		if data, err = change(data, records); err != nil {
			return err
		}
		if len(data) > maxFile {
			return fmt.Errorf("%s %s: it would grow larger than %d MB", f.Kind.words().file, f.Path, maxFile>>20)
		}
		return durable.WriteFile(f.Path, data, mode)
	})
}
