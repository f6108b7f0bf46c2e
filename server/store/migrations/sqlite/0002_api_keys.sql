-- Times are milliseconds since 1970 UTC, 0 for none; lists are JSON.

-- +goose Up
CREATE TABLE api_keys (
  id            TEXT PRIMARY KEY,
  hash          BLOB NOT NULL UNIQUE,
  hash_by       TEXT NOT NULL,
  prefix        TEXT NOT NULL,
  account       TEXT NOT NULL,
  name          TEXT NOT NULL,
  description   TEXT NOT NULL,
  environment   TEXT NOT NULL,
  role          TEXT NOT NULL,
  scopes        TEXT NOT NULL,
  allowed_ips   TEXT NOT NULL,
  metadata      TEXT NOT NULL, -- '' for none
  tier          TEXT NOT NULL,
  ops_limit     INTEGER NOT NULL,
  day_budget    INTEGER NOT NULL,
  month_budget  INTEGER NOT NULL,
  owner         TEXT NOT NULL,
  user_id       TEXT NOT NULL, -- '' for none
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  last_used_at  INTEGER NOT NULL,
  deprecated_at INTEGER NOT NULL,
  revoked_at    INTEGER NOT NULL,
  replaced_by   TEXT NOT NULL,
  version       INTEGER NOT NULL,
  expiry_told   INTEGER NOT NULL DEFAULT 0, -- stage
  search        TEXT NOT NULL -- name and description in lower case, of every alphabet
) STRICT;
CREATE INDEX api_keys_newest ON api_keys (created_at, id);
CREATE INDEX api_keys_of_owner ON api_keys (owner, created_at, id);
CREATE INDEX api_keys_of_user ON api_keys (user_id) WHERE user_id <> '';
CREATE INDEX api_keys_of_account ON api_keys (account);
CREATE INDEX api_keys_prefix ON api_keys (prefix);
CREATE INDEX api_keys_expire ON api_keys (expiry_told, expires_at) WHERE revoked_at = 0 AND expires_at > 0;
CREATE INDEX api_keys_imported ON api_keys (hash_by) WHERE hash_by = 'sha256';

-- From where a key was used.
CREATE TABLE key_networks (
  key_id  TEXT NOT NULL REFERENCES api_keys (id),
  network TEXT NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (key_id, network)
) STRICT;

-- Requests that may come twice and are done once.
CREATE TABLE key_requests (
  owner   TEXT NOT NULL,
  request TEXT NOT NULL, -- Idempotency-Key
  content BLOB NOT NULL, -- hash
  key_id  TEXT NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (owner, request)
) STRICT;
CREATE INDEX key_requests_at ON key_requests (at);

CREATE TABLE spending (
  account TEXT NOT NULL,
  period  TEXT NOT NULL,
  spent   INTEGER NOT NULL,
  drawn   INTEGER NOT NULL, -- by the last draw
  ends_at INTEGER, -- NULL for never
  PRIMARY KEY (account, period)
) STRICT;
CREATE INDEX spending_ends ON spending (ends_at);

CREATE TABLE audit_log (
  seq        INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  actor      TEXT NOT NULL,
  method     TEXT NOT NULL,
  ip         TEXT NOT NULL,
  request_id TEXT NOT NULL,
  action     TEXT NOT NULL,
  target     TEXT NOT NULL,
  owner      TEXT NOT NULL,
  outcome    TEXT NOT NULL,
  details    TEXT NOT NULL,
  count      INTEGER NOT NULL,
  hash       BLOB NOT NULL,
  hash_by    TEXT NOT NULL
) STRICT;
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_actor ON audit_log (actor, seq);
CREATE INDEX audit_log_action ON audit_log (action, seq);
CREATE INDEX audit_log_owner ON audit_log (owner, seq);
CREATE INDEX audit_log_target ON audit_log (target, seq);

-- Where the log begins and ends: one row, which whoever writes the log locks
-- first.
CREATE TABLE audit_state (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  anchor_seq  INTEGER NOT NULL,
  anchor_hash BLOB,
  last_seq    INTEGER NOT NULL,
  last_hash   BLOB,
  seal        BLOB,
  sealed_by   TEXT NOT NULL
) STRICT;
INSERT INTO audit_state (id, anchor_seq, last_seq, sealed_by) VALUES (1, 0, 0, '');

-- +goose StatementBegin
CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_log_kept BEFORE DELETE ON audit_log
WHEN OLD.seq > (SELECT anchor_seq FROM audit_state WHERE id = 1)
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd
