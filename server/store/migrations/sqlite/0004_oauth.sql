-- Times are milliseconds since 1970 UTC, 0 for none; lists are JSON. Codes, tokens
-- and secrets are here by their SHA-256 alone.

-- +goose Up
CREATE TABLE oauth_clients (
  id                        TEXT PRIMARY KEY,
  name                      TEXT NOT NULL,
  type                      TEXT NOT NULL,
  owner                     TEXT NOT NULL,
  user_id                   TEXT NOT NULL, -- '' for none
  redirect_uris             TEXT NOT NULL,
  post_logout_redirect_uris TEXT NOT NULL,
  scopes                    TEXT NOT NULL,
  grant_types               TEXT NOT NULL,
  pkce_optional             INTEGER NOT NULL,
  first_party               INTEGER NOT NULL,
  introspect                INTEGER NOT NULL,
  dynamic                   INTEGER NOT NULL,
  jwks                      BLOB,
  id_token_alg              TEXT NOT NULL,
  uri                       TEXT NOT NULL,
  tier                      TEXT NOT NULL,
  secrets                   TEXT NOT NULL, -- id, hash in hexadecimal, hint, created_at, expires_at
  created_at                INTEGER NOT NULL,
  disabled_at               INTEGER NOT NULL,
  version                   INTEGER NOT NULL,
  used_at                   INTEGER NOT NULL, -- about, and of those that registered themselves alone
  search                    TEXT NOT NULL -- name in lower case, of every alphabet
) STRICT;
CREATE INDEX oauth_clients_newest ON oauth_clients (created_at, id);
CREATE INDEX oauth_clients_of_owner ON oauth_clients (owner, created_at, id);
CREATE INDEX oauth_clients_unused ON oauth_clients (used_at) WHERE dynamic;

-- Clients that are gone, and of which something is still to be removed.
CREATE TABLE oauth_removals (
  client_id TEXT PRIMARY KEY,
  at        INTEGER NOT NULL
) STRICT;

CREATE TABLE oauth_grants (
  id         TEXT PRIMARY KEY,
  client_id  TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  subject    TEXT NOT NULL,
  scopes     TEXT NOT NULL,
  resources  TEXT NOT NULL,
  nonce      TEXT NOT NULL,
  sid        TEXT NOT NULL,
  auth_time  INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER NOT NULL DEFAULT 0,
  used_at    INTEGER NOT NULL DEFAULT 0 -- when tokens were given last
) STRICT;
CREATE INDEX oauth_grants_of_person ON oauth_grants (user_id, client_id, created_at, id) WHERE revoked_at = 0;
CREATE INDEX oauth_grants_of_client ON oauth_grants (client_id);
CREATE INDEX oauth_grants_ended ON oauth_grants (revoked_at, expires_at);

CREATE TABLE oauth_consents (
  user_id   TEXT NOT NULL,
  client_id TEXT NOT NULL,
  scopes    TEXT NOT NULL,
  resources TEXT NOT NULL,
  given_at  INTEGER NOT NULL,
  PRIMARY KEY (user_id, client_id)
) STRICT;
CREATE INDEX oauth_consents_to_client ON oauth_consents (client_id);

CREATE TABLE oauth_codes (
  hash           BLOB PRIMARY KEY,
  grant_id       TEXT NOT NULL,
  client_id      TEXT NOT NULL,
  redirect_uri   TEXT NOT NULL,
  redirect_given INTEGER NOT NULL,
  challenge      TEXT NOT NULL,
  expires_at     INTEGER NOT NULL,
  consumed_at    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX oauth_codes_done ON oauth_codes (consumed_at, expires_at);

CREATE TABLE oauth_refresh_tokens (
  hash        BLOB PRIMARY KEY,
  grant_id    TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  consumed_at INTEGER NOT NULL DEFAULT 0,
  next        BLOB -- hash of what replaced it
) STRICT;
CREATE INDEX oauth_refresh_tokens_of_grant ON oauth_refresh_tokens (grant_id);
CREATE INDEX oauth_refresh_tokens_expire ON oauth_refresh_tokens (expires_at);

-- Authorization requests that were pushed; one that is used is removed.
CREATE TABLE oauth_pushed (
  hash       BLOB PRIMARY KEY,
  client_id  TEXT NOT NULL,
  params     TEXT NOT NULL, -- url-encoded
  source     TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_pushed_by_client ON oauth_pushed (client_id, expires_at);
CREATE INDEX oauth_pushed_by_source ON oauth_pushed (source, expires_at);
CREATE INDEX oauth_pushed_expire ON oauth_pushed (expires_at);

CREATE TABLE oauth_devices (
  hash          BLOB PRIMARY KEY,
  user_code     TEXT NOT NULL UNIQUE,
  client_id     TEXT NOT NULL,
  scopes        TEXT NOT NULL,
  resources     TEXT NOT NULL,
  source        TEXT NOT NULL,
  state         TEXT NOT NULL,
  grant_id      TEXT NOT NULL, -- '' for none
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  polled_at     INTEGER NOT NULL,
  poll_interval INTEGER NOT NULL -- milliseconds
) STRICT;
CREATE INDEX oauth_devices_of_client ON oauth_devices (client_id, expires_at);
CREATE INDEX oauth_devices_by_source ON oauth_devices (source, expires_at);
CREATE INDEX oauth_devices_expire ON oauth_devices (expires_at);

-- IDs of clients' assertions that were used.
CREATE TABLE oauth_assertions (
  client_id  TEXT NOT NULL,
  jti        BLOB NOT NULL, -- its SHA-256
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (client_id, jti)
) STRICT;
CREATE INDEX oauth_assertions_expire ON oauth_assertions (expires_at);

-- Access tokens that ended before their time.
CREATE TABLE oauth_revoked_tokens (
  jti        TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_revoked_tokens_expire ON oauth_revoked_tokens (expires_at);

-- Some six rows.
CREATE TABLE oauth_signing_keys (
  id         TEXT PRIMARY KEY,
  algorithm  TEXT NOT NULL,
  sealed     BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  use_at     INTEGER NOT NULL,
  retire_at  INTEGER NOT NULL
) STRICT;
