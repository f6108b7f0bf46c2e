-- Times are milliseconds since 1970 UTC, 0 for none; lists are JSON.

-- +goose Up
CREATE TABLE users (
  id          TEXT PRIMARY KEY,
  provider    TEXT NOT NULL,
  issuer      TEXT NOT NULL,
  subject     TEXT NOT NULL,
  username    TEXT NOT NULL,
  email       TEXT NOT NULL,
  group_list  TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  seen_at     INTEGER NOT NULL,
  disabled_at INTEGER NOT NULL DEFAULT 0,
  UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX users_newest ON users (created_at, id);

CREATE TABLE sessions (
  hash          BLOB PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  client_id     TEXT NOT NULL,
  user_id       TEXT NOT NULL REFERENCES users (id),
  provider      TEXT NOT NULL,
  issuer        TEXT NOT NULL,
  subject       TEXT NOT NULL,
  sid           TEXT NOT NULL,
  stamp         TEXT NOT NULL,
  username      TEXT NOT NULL,
  email         TEXT NOT NULL,
  group_list    TEXT NOT NULL,
  sealed        BLOB,
  version       INTEGER NOT NULL,
  renew_at      INTEGER NOT NULL,
  claimed_until INTEGER NOT NULL DEFAULT 0, -- one process asks the provider until then
  created_at    INTEGER NOT NULL,
  seen_at       INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  ip            TEXT NOT NULL,
  user_agent    TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_newest ON sessions (created_at, id);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_of_subject ON sessions (issuer, subject);
CREATE INDEX sessions_of_sid ON sessions (issuer, sid);
CREATE INDEX sessions_seen ON sessions (seen_at);
CREATE INDEX sessions_expire ON sessions (expires_at);

-- Where removed sessions stood in lists, for whoever is in the middle of one.
CREATE TABLE ended_sessions (
  id         TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  at         INTEGER NOT NULL
) STRICT;
CREATE INDEX ended_sessions_at ON ended_sessions (at);

CREATE TABLE login_attempts (
  hash BLOB PRIMARY KEY,
  ends INTEGER NOT NULL
) STRICT;
CREATE INDEX login_attempts_ends ON login_attempts (ends);

-- What the memories of all processes must hear of.
CREATE TABLE changes (
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  key  TEXT NOT NULL,
  at   INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_at ON changes (at, id);
