package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"wavegate/keychain"
)

// addUser adds a user with a password that is asked for or, where generate
// says so, made. Standard output gets a made password and nothing else.
func (s *settings) addUser(ctx context.Context, in surroundings) int {
	file, name := keychain.Users(s.server.Users.Path), s.createUser
	if err := file.CanAdd(name); err != nil {
		return fail(in, userError(file, err)) // before anybody thinks of a password
	}
	if s.generate {
		return generateUser(in, file, name)
	}
	password, err := readPassword(ctx, in, name)
	if err != nil {
		return fail(in, err)
	}
	if err := file.Add(name, password); err != nil {
		return fail(in, userError(file, err))
	}
	fmt.Fprintf(in.stderr, "Added the user %s to the users file %s.\n", name, file.Path)
	return exitOK
}

// generateUser adds a user with a password that is printed once.
func generateUser(in surroundings, file keychain.File, name string) int {
	password := keychain.NewPassword()
	if err := file.Add(name, password); err != nil {
		return fail(in, userError(file, err))
	}
	if _, err := fmt.Fprintln(in.stdout, password); err != nil {
		if undo := file.Remove(name); undo != nil {
			return fail(in, fmt.Errorf("cannot print the password of the user %s: %w; remove the user with --remove-user", name, err))
		}
		return fail(in, fmt.Errorf("cannot print the password, so no user was added: %w", err))
	}
	fmt.Fprintf(in.stderr, "\nKeep the password now: it is shown this once and cannot be read again.\nThe user %s was added to the users file %s.\n", name, file.Path)
	return exitOK
}

// userError says what to do about an error of adding a user.
func userError(file keychain.File, err error) error {
	if errors.Is(err, keychain.ErrIDExists) {
		return fmt.Errorf("%w: a user changes the password in the portal, when signed in; one who has lost it is removed with --remove-user and added again", err)
	}
	return fileError("users file", file.Path, err)
}

// listUsers prints the names of the users file, sorted.
func listUsers(in surroundings, path string) int {
	names, err := keychain.Users(path).List()
	if errors.Is(err, fs.ErrNotExist) {
		return fail(in, fmt.Errorf("there is no users file %s: add a user with --create-user NAME, or name another users file with --users-file", path))
	}
	if err != nil {
		return fail(in, fileError("users file", path, err))
	}
	return printLines(in, names)
}

// removeUser takes a user out of the users file.
func removeUser(in surroundings, path, name string) int {
	err := keychain.Users(path).Remove(name)
	switch {
	case errors.Is(err, keychain.ErrUnknownID), errors.Is(err, fs.ErrNotExist):
		return fail(in, fmt.Errorf("there is no user %s in the users file %s: --list-users shows those that are", name, path))
	case err != nil:
		return fail(in, fileError("users file", path, err))
	}
	fmt.Fprintf(in.stdout, "Removed the user %s from the users file %s.\n", name, path)
	return exitOK
}
