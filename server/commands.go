package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/audit"
	"wavegate/server/identity"
	"wavegate/server/policy"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// operator is who gives commands on this machine, in records.
const operator = "cli"

// ErrNoStore is about a command that wants something of a store that nobody made
// yet. Its text says where it was looked for.
var ErrNoStore = errors.New("there is no store yet")

// ValidateStore reports what is wrong with the settings that say where the store
// is, which is what commands need of them. It opens nothing.
func (c Config) ValidateStore() error {
	return store.Config{URL: c.Store, Dir: c.DataDir}.Validate()
}

// A console is a server that does not serve: what commands need of one. It may
// work beside a running server, on the same store. Each command opens what it
// needs, step by step; what was not opened is nil.
type console struct {
	*Server
	policy *policy.Policy
	live   bool // the server serves after all: what it holds in memory is what counts
}

// A step opens something of a console.
type step func(*console, context.Context) error

// withConsole runs a command behind the steps that it needs.
func withConsole[T any](ctx context.Context, cfg Config, steps []step, do func(*console) (T, error)) (out T, err error) {
	c := &console{Server: &Server{cfg: cfg.withDefaults(), log: slog.New(slog.DiscardHandler)}}
	defer func() {
		if c.store != nil {
			err = errors.Join(err, c.store.Close())
		}
	}()
	for _, open := range steps {
		if err := open(c, ctx); err != nil {
			return out, err
		}
	}
	return do(c)
}

// readRules reads the policy.
func (c *console) readRules(context.Context) (err error) {
	c.policy, err = c.readPolicy()
	return err
}

// knownSecret reads the secret file, which must be there: a new secret says
// nothing about what was written under another one.
func (c *console) knownSecret(context.Context) error {
	data, err := readSecret(c.cfg.SecretFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no secret file %s: name that of the server with --secret-file or -data-dir", c.cfg.SecretFile)
	}
	if err != nil {
		return fmt.Errorf("secret file: %w", err)
	}
	if c.secret, err = parseSecret(c.cfg.SecretFile, data); err != nil {
		return err
	}
	return c.derive()
}

// anySecret is knownSecret that makes the file where neither it nor anything that
// was written under it is there.
func (c *console) anySecret(ctx context.Context) error {
	if _, err := os.Stat(c.cfg.SecretFile); !errors.Is(err, fs.ErrNotExist) {
		return c.knownSecret(ctx)
	}
	if err := c.unused(ctx); err != nil {
		return err
	}
	var err error
	if c.secret, err = loadSecret(c.cfg.SecretFile); err != nil {
		return err
	}
	return c.derive()
}

// unused reports a store that somebody used already. Keys that are made under a
// secret of one's own open nothing there.
func (c *console) unused(ctx context.Context) error {
	if err := c.storeThere(ctx); err != nil {
		return nil
	}
	if err := c.openStore(ctx); err != nil {
		return err
	}
	_, last, err := c.store.AuditAnchor(ctx)
	err = errors.Join(err, c.store.Close())
	c.store = nil
	if err == nil && last > 0 {
		err = fmt.Errorf("the store is in use, but there is no secret file %s: name that of the server with --secret-file or -data-dir, or start the server first if it is lost", c.cfg.SecretFile)
	}
	return err
}

// derive makes what hashes API keys and the audit log of the secret.
func (c *console) derive() (err error) {
	if c.hasher, err = c.newHasher(); err != nil {
		return err
	}
	c.auditChain, err = c.newChain()
	return err
}

// storeThere reports a store that nobody made yet, so that a question leaves no
// empty file behind.
func (c *console) storeThere(context.Context) error {
	file := c.storeConfig().File()
	if file == "" {
		return nil
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is not there; name another place with -data-dir or --store", ErrNoStore, file)
	}
	return nil
}

// openStore opens the store and makes it where it is not there.
func (c *console) openStore(ctx context.Context) (err error) {
	c.store, err = store.Open(ctx, c.storeConfig())
	return err
}

// keys is the service for API keys, and on whose behalf it is asked: the operator
// holds everything.
func (c *console) keys() (*keyService, asker) {
	who := &identity.Principal{Method: identity.MethodAccessKey, Owner: operator, Scopes: []string{identity.ScopeAll}}
	k := &keyService{store: c.store, hasher: c.hasher, policy: c.policy, brand: c.cfg.KeyBrand, checksum: c.cfg.KeyChecksum}
	note := func(d deed, events ...webhook.Event) store.Journal {
		return store.Journal{
			Audit: []audit.Entry{{
				At: time.Now(), Actor: operator, Method: "command-line", Action: d.action, Target: d.target, Owner: d.owner,
				Outcome: "ok", Details: d.details,
			}},
			Events: events,
		}
	}
	return k, asker{apiCaller: &apiCaller{who: who, owner: operator, admin: true}, note: note}
}

// A KeyView is an API key as the API and the command line show it.
type KeyView = keyView

// ListAPIKeys returns all API keys, the newest first.
func ListAPIKeys(ctx context.Context, cfg Config) ([]KeyView, error) {
	return withConsole(ctx, cfg, []step{(*console).storeThere, (*console).readRules, (*console).openStore}, func(c *console) ([]KeyView, error) {
		now, views := time.Now(), []KeyView{}
		for after := ""; ; {
			list, err := c.store.Keys(ctx, store.KeyFilter{All: true}, now, after, maxPage)
			if err != nil {
				return nil, err
			}
			views = append(views, viewKeys(list, c.policy, now)...)
			if len(list) < maxPage {
				return views, nil
			}
			after = list[len(list)-1].ID
		}
	})
}

// RevokeAPIKey ends an API key for good. A running server notices within a second.
// It needs no policy, so that a key can be ended whatever is wrong with that.
func RevokeAPIKey(ctx context.Context, cfg Config, id string) error {
	if _, ok := apikey.Parse(id); ok {
		return errors.New("that is an API key, not its ID, and now it stands in your shell's history: --list-api-keys shows the ID, which begins with key_")
	}
	steps := []step{(*console).storeThere, (*console).knownSecret, (*console).openStore}
	_, err := withConsole(ctx, cfg, steps, func(c *console) (struct{}, error) {
		k, a := c.keys()
		return struct{}{}, k.revoke(ctx, a, id)
	})
	if errors.Is(err, errNoKeyThere) {
		return errors.New("there is no API key of that ID: --list-api-keys shows those that are (an ID begins with key_)")
	}
	return inWords(err)
}

// An AuditReport is what a walk along the audit log found.
type AuditReport struct {
	Entries int64  // as they were written
	Last    int64  // number of the last of them; 0 for none
	Hash    string // of that entry, hexadecimal
	Bad     error  // what is wrong, and with which entry; nil is nothing
}

// VerifyAudit checks the chain of hashes of the whole audit log.
func VerifyAudit(ctx context.Context, cfg Config) (AuditReport, error) {
	steps := []step{(*console).storeThere, (*console).knownSecret, (*console).openStore}
	return withConsole(ctx, cfg, steps, func(c *console) (AuditReport, error) {
		found, err := c.store.VerifyAudit(ctx)
		report := AuditReport{Entries: found.Checked, Last: found.Last, Hash: hex.EncodeToString(found.Hash)}
		if auditBroken(found, err) {
			report.Bad, err = err, nil
		}
		return report, err
	})
}
