-- Times are milliseconds since 1970 UTC, 0 for none; lists are JSON.

-- +goose Up
CREATE TABLE api_keys (
  id            TEXT PRIMARY KEY,
  hash          BYTEA NOT NULL UNIQUE,
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
  ops_limit     BIGINT NOT NULL,
  day_budget    BIGINT NOT NULL,
  month_budget  BIGINT NOT NULL,
  owner         TEXT NOT NULL,
  user_id       TEXT NOT NULL, -- '' for none
  created_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL,
  last_used_at  BIGINT NOT NULL,
  deprecated_at BIGINT NOT NULL,
  revoked_at    BIGINT NOT NULL,
  replaced_by   TEXT NOT NULL,
  version       BIGINT NOT NULL,
  expiry_told   BIGINT NOT NULL DEFAULT 0, -- stage
  search        TEXT NOT NULL -- name and description in lower case, of every alphabet
);
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
  at      BIGINT NOT NULL,
  PRIMARY KEY (key_id, network)
);

-- Requests that may come twice and are done once.
CREATE TABLE key_requests (
  owner   TEXT NOT NULL,
  request TEXT NOT NULL, -- Idempotency-Key
  content BYTEA NOT NULL, -- hash
  key_id  TEXT NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (owner, request)
);
CREATE INDEX key_requests_at ON key_requests (at);

CREATE TABLE spending (
  account TEXT NOT NULL,
  period  TEXT NOT NULL,
  spent   BIGINT NOT NULL,
  drawn   BIGINT NOT NULL, -- by the last draw
  ends_at BIGINT, -- NULL for never
  PRIMARY KEY (account, period)
);
CREATE INDEX spending_ends ON spending (ends_at);

-- Actions are ordered byte by byte, so that those which begin alike stand together.
CREATE TABLE audit_log (
  seq        BIGINT PRIMARY KEY,
  at         BIGINT NOT NULL,
  actor      TEXT NOT NULL,
  method     TEXT NOT NULL,
  ip         TEXT NOT NULL,
  request_id TEXT NOT NULL,
  action     TEXT COLLATE "C" NOT NULL,
  target     TEXT NOT NULL,
  owner      TEXT NOT NULL,
  outcome    TEXT NOT NULL,
  details    TEXT NOT NULL,
  count      BIGINT NOT NULL,
  hash       BYTEA NOT NULL,
  hash_by    TEXT NOT NULL
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_actor ON audit_log (actor, seq);
CREATE INDEX audit_log_action ON audit_log (action, seq);
CREATE INDEX audit_log_owner ON audit_log (owner, seq);
CREATE INDEX audit_log_target ON audit_log (target, seq);

-- Where the log begins and ends: one row, which whoever writes the log locks
-- first.
CREATE TABLE audit_state (
  id          BIGINT PRIMARY KEY CHECK (id = 1),
  anchor_seq  BIGINT NOT NULL,
  anchor_hash BYTEA,
  last_seq    BIGINT NOT NULL,
  last_hash   BYTEA,
  seal        BYTEA,
  sealed_by   TEXT NOT NULL
);
INSERT INTO audit_state (id, anchor_seq, last_seq, sealed_by) VALUES (1, 0, 0, '');

-- +goose StatementBegin
CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only';
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION audit_log_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.seq > (SELECT anchor_seq FROM audit_state WHERE id = 1) THEN
    RAISE EXCEPTION 'the audit log is append-only';
  END IF;
  RETURN OLD;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_refuse();
CREATE TRIGGER audit_log_kept BEFORE DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_keep();
