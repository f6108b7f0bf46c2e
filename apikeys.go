package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"wavegate/server"
)

// addAPIKey makes an API key. Standard output gets the key and nothing else, or
// what the API would have answered.
func (s *settings) addAPIKey(ctx context.Context, in surroundings) int {
	made, err := server.CreateAPIKey(ctx, s.server, s.order)
	if err != nil {
		return fail(in, err)
	}
	if s.output == "json" {
		err = printJSON(in.stdout, made)
	} else {
		_, err = fmt.Fprintln(in.stdout, made.Key.Key)
	}
	if id := made.Key.ID; err != nil {
		if undo := server.RevokeAPIKey(context.WithoutCancel(ctx), s.server, id); undo != nil {
			return fail(in, fmt.Errorf("cannot print the API key %s: %w; end it with --revoke-api-key %s", id, err, id))
		}
		return fail(in, fmt.Errorf("cannot print the API key, so it was revoked: %w", err))
	}
	fmt.Fprintf(in.stderr, "\n%s\nIts ID is %s. %s.\n", made.Warning, made.Key.ID, opens(&made.Key))
	return exitOK
}

// opens says what a new key is good for.
func opens(k *server.KeyView) string {
	holds := "It holds "
	switch {
	case k.Role != nil:
		holds += "the role " + *k.Role
		if len(k.Scopes) > 0 {
			holds += " and "
		}
	case len(k.Scopes) == 0:
		return "It holds neither role nor scopes, so it opens what any valid credential does"
	}
	if len(k.Scopes) > 0 {
		holds += strings.Join(k.Scopes, ", ")
	}
	return holds
}

// orderProblems is what is wrong with the API key that was asked for, where
// something else is wrong already, so that all of it is said at once. A policy that
// cannot be read is not worth a word then.
func (s *settings) orderProblems(ctx context.Context) []error {
	if !s.createAPIKey {
		return nil
	}
	wrong, _ := errors.AsType[server.SettingsError](server.CheckKeyOrder(ctx, s.server, s.order))
	return flatten(wrong.Unwrap())
}

// printAPIKeys prints the API keys, the newest first.
func (s *settings) printAPIKeys(ctx context.Context, in surroundings) int {
	list, err := server.ListAPIKeys(ctx, s.server)
	none := "There is no API key: --create-api-key makes one."
	if errors.Is(err, server.ErrNoStore) {
		none, err = "There is no API key: "+err.Error()+".", nil
	}
	if err != nil {
		return fail(in, err)
	}
	switch {
	case s.output == "json":
		err = printJSON(in.stdout, map[string][]server.KeyView{"api_keys": append([]server.KeyView{}, list...)})
	case len(list) > 0:
		err = printKeyTable(in.stdout, list)
	}
	if err != nil {
		return fail(in, fmt.Errorf("cannot write: %w", err))
	}
	if len(list) == 0 {
		fmt.Fprintln(in.stderr, none)
	}
	return exitOK
}

// printKeyTable writes one key a line under a head.
func printKeyTable(w io.Writer, list []server.KeyView) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tPREFIX\tNAME\tSTATUS\tROLE\tSCOPES\tCREATED\tEXPIRES\tLAST USED\tOWNER")
	for i := range list {
		k := &list[i]
		cells := []string{
			k.ID, k.Prefix, k.Name, string(k.Status), orNone(k.Role), strings.Join(k.Scopes, ","),
			orNone(k.CreatedAt), orNone(k.ExpiresAt), orNone(k.LastUsedAt), k.Owner,
		}
		for i, text := range cells {
			cells[i] = cmp.Or(strings.TrimSpace(plainText(text)), "-")
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// plainText is a text that somebody else chose, without what would move the cursor
// or the columns of a terminal, or turn its letters round.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r), r == '\ufeff':
			return -1
		case unicode.IsControl(r), unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
}

// orNone is a text, "" for none.
func orNone(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// printJSON writes a value as the API would, but for people to read too.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// endAPIKey revokes an API key.
func (s *settings) endAPIKey(ctx context.Context, in surroundings) int {
	id := s.revokeAPIKey
	if err := server.RevokeAPIKey(ctx, s.server, id); err != nil {
		return fail(in, err)
	}
	var err error
	if s.output == "json" {
		err = printJSON(in.stdout, map[string]string{"id": id, "status": "revoked"})
	} else {
		_, err = fmt.Fprintf(in.stdout, "Revoked the API key %s.\n", id)
	}
	if err != nil {
		return fail(in, fmt.Errorf("the API key %s was revoked, but that cannot be written: %w", id, err))
	}
	return exitOK
}
