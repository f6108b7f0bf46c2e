package main

import (
	"errors"
	"fmt"
	"io/fs"

	"wavegate/keychain"
)

// createKey makes an access key. Standard output gets the two lines that a file
// of settings wants, and nothing else.
func createKey(in surroundings, path string) int {
	id, secret, err := keychain.Create(path)
	if err != nil {
		return fail(in, fileError("keychain", path, err))
	}
	_, err = fmt.Fprintf(in.stdout, "H2O_WAVE_ACCESS_KEY_ID=%s\nH2O_WAVE_ACCESS_KEY_SECRET=%s\n", id, secret)
	if err != nil {
		if undo := keychain.Remove(path, id); undo != nil {
			return fail(in, fmt.Errorf("cannot print the access key %s: %w; remove it with -remove-access-key %s", id, err, id))
		}
		return fail(in, fmt.Errorf("cannot print the access key, so none was made: %w", err))
	}
	fmt.Fprintf(in.stderr, "\nKeep the secret now: it is shown this once and cannot be read again.\nThe key was added to the keychain %s.\n", path)
	return exitOK
}

// listKeys prints the keychain's IDs, sorted.
func listKeys(in surroundings, path string) int {
	ids, err := keychain.List(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(in, fmt.Errorf("there is no keychain %s: make a key with -create-access-key, or name another keychain with -access-keychain", path))
	}
	if err != nil {
		return fail(in, fileError("keychain", path, err))
	}
	return printLines(in, ids)
}

// printLines writes each text on a line of its own.
func printLines(in surroundings, texts []string) int {
	for _, text := range texts {
		if _, err := fmt.Fprintln(in.stdout, text); err != nil {
			return fail(in, fmt.Errorf("cannot write: %w", err))
		}
	}
	return exitOK
}

// removeKey takes a key out of the keychain.
func removeKey(in surroundings, path, id string) int {
	err := keychain.Remove(path, id)
	switch {
	case errors.Is(err, keychain.ErrUnknownID), errors.Is(err, fs.ErrNotExist):
		return fail(in, fmt.Errorf("there is no access key %s in the keychain %s: -list-access-keys shows those that are", id, path))
	case err != nil:
		return fail(in, fileError("keychain", path, err))
	}
	fmt.Fprintf(in.stdout, "Removed the access key %s from the keychain %s.\n", id, path)
	return exitOK
}

// fileError names the keychain or users file where the error is about a file
// that a user may never have heard of: the lock, or a folder above.
func fileError(file, path string, err error) error {
	p, ok := errors.AsType[*fs.PathError](err)
	if !ok || p.Path == path {
		return err
	}
	return fmt.Errorf("%s %s: %w", file, path, err)
}
