package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"wavegate/keychain"
)

// maxPasswordLine bounds the line that is read as a password, in bytes. It is
// more than a password may have, so that one that is too long is told apart.
const maxPasswordLine = 1 << 10

// The keys that are no part of a password, as a terminal in raw mode sends them.
const (
	keyInterrupt = 0x03 // Ctrl-C
	keyEnd       = 0x04 // Ctrl-D
	keyBackspace = 0x08
	keyClear     = 0x15 // Ctrl-U
	keyDelete    = 0x7f // what most keyboards send for backspace
)

// errInterrupted is what is said when somebody thinks better of it.
var errInterrupted = errors.New("interrupted: nothing was changed")

// readPassword reads the password of a new user: twice and without echo from a
// terminal, one line from anything else that standard input may be.
func readPassword(ctx context.Context, in surroundings, name string) (string, error) {
	tty, ok := in.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return pipedPassword(ctx, in.stdin)
	}
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("cannot ask for a password: %w", err)
	}
	defer func() { _ = term.Restore(int(tty.Fd()), before) }() // it was a terminal a moment ago
	ask := func(question string) (string, error) {
		fmt.Fprint(in.stderr, question)
		defer fmt.Fprint(in.stderr, "\r\n")
		return await(ctx, func() (string, error) { return typedLine(tty) })
	}
	password, err := ask(fmt.Sprintf("Password for %s: ", name))
	if err != nil {
		return "", err
	}
	if err := keychain.CheckPassword(password); err != nil {
		return "", fmt.Errorf("%w: nothing was changed", err)
	}
	again, err := ask("The same again: ")
	if err == nil && again != password {
		err = errors.New("the two passwords are not the same: nothing was changed")
	}
	return password, err
}

// typedLine reads a line from a terminal in raw mode, byte by byte, so that what
// was typed ahead is left for the next. A terminal that is gone ends it.
func typedLine(r io.Reader) (string, error) {
	var line []byte
	for key := []byte{0}; len(line) < maxPasswordLine; {
		if _, err := io.ReadFull(r, key); err != nil {
			return "", fmt.Errorf("cannot read the password: %w", err)
		}
		switch k := key[0]; k {
		case '\r', '\n':
			return string(line), nil
		case keyInterrupt, keyEnd:
			return "", errInterrupted
		case keyBackspace, keyDelete:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		case keyClear:
			line = line[:0]
		default:
			if k < ' ' {
				return "", errors.New("a key was pressed that is no letter: nothing was changed")
			}
			line = append(line, k)
		}
	}
	return string(line), nil // too long, as the caller will find
}

// pipedPassword reads one line.
func pipedPassword(ctx context.Context, r io.Reader) (string, error) {
	if r == nil {
		r = strings.NewReader("")
	}
	line, err := await(ctx, func() (string, error) {
		line, err := bufio.NewReader(io.LimitReader(r, maxPasswordLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("cannot read the password: %w", err)
		}
		return line, nil
	})
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("no password came on standard input: run this in a terminal, pipe one in, or let --generate make it")
	}
	if err := keychain.CheckPassword(line); err != nil {
		return "", fmt.Errorf("%w: nothing was changed", err)
	}
	return line, nil
}

// await returns what read returns, or an error when ctx ends first. Then read is
// left behind: nothing ends a read from a terminal, but the process is about to.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}
