-- Times are milliseconds since 1970 UTC, 0 for none; lists are JSON.

-- +goose Up
CREATE TABLE webhooks (
  id          TEXT PRIMARY KEY,
  owner       TEXT NOT NULL,
  everybodys  INTEGER NOT NULL, -- also the events of others
  url         TEXT NOT NULL,
  description TEXT NOT NULL,
  event_types TEXT NOT NULL,
  secret      BLOB,
  old_secret  BLOB,
  old_ends    INTEGER NOT NULL,
  disabled_at INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  version     INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_newest ON webhooks (created_at, id);
CREATE INDEX webhooks_of_owner ON webhooks (owner, created_at, id);
CREATE INDEX webhooks_of_everybody ON webhooks (id) WHERE everybodys;
CREATE INDEX webhooks_disabled ON webhooks (id) WHERE disabled_at <> 0;

-- An event stays as long as a delivery needs it.
CREATE TABLE events (
  id      TEXT PRIMARY KEY,
  type    TEXT NOT NULL,
  owner   TEXT NOT NULL,
  at      INTEGER NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX events_at ON events (at);

CREATE TABLE deliveries (
  id          TEXT PRIMARY KEY,
  endpoint_id TEXT NOT NULL REFERENCES webhooks (id),
  event_id    TEXT NOT NULL REFERENCES events (id),
  state       TEXT NOT NULL,
  attempts    INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  next_at     INTEGER NOT NULL,
  due_at      INTEGER NOT NULL, -- next_at, or when the claim of a process ends
  last_at     INTEGER NOT NULL,
  last_status INTEGER NOT NULL,
  last_error  TEXT NOT NULL,
  last_body   TEXT NOT NULL
) STRICT;
CREATE INDEX deliveries_newest ON deliveries (endpoint_id, created_at, id);
CREATE INDEX deliveries_in_state ON deliveries (endpoint_id, state, created_at, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id);
CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_ended ON deliveries (last_at, id) WHERE state <> 'pending';

-- Counts of a minute (span 0), an hour (1) or a day (2). l0 to l13 are the
-- requests by how long they took.
CREATE TABLE usage (
  span      INTEGER NOT NULL,
  start     INTEGER NOT NULL,
  key_id    TEXT NOT NULL,
  owner     TEXT NOT NULL,
  client    TEXT NOT NULL,
  route     TEXT NOT NULL,
  requests  INTEGER NOT NULL,
  errors    INTEGER NOT NULL,
  bytes_in  INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  l0        INTEGER NOT NULL,
  l1        INTEGER NOT NULL,
  l2        INTEGER NOT NULL,
  l3        INTEGER NOT NULL,
  l4        INTEGER NOT NULL,
  l5        INTEGER NOT NULL,
  l6        INTEGER NOT NULL,
  l7        INTEGER NOT NULL,
  l8        INTEGER NOT NULL,
  l9        INTEGER NOT NULL,
  l10       INTEGER NOT NULL,
  l11       INTEGER NOT NULL,
  l12       INTEGER NOT NULL,
  l13       INTEGER NOT NULL,
  PRIMARY KEY (span, start, key_id, owner, client, route)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_of_key ON usage (key_id, span, start);
CREATE INDEX usage_of_owner ON usage (owner, span, start);

CREATE TABLE usage_refusals (
  span   INTEGER NOT NULL,
  start  INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  owner  TEXT NOT NULL,
  client TEXT NOT NULL,
  route  TEXT NOT NULL,
  code   TEXT NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (span, start, key_id, owner, client, route, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_refusals_of_key ON usage_refusals (key_id, span, start);
CREATE INDEX usage_refusals_of_owner ON usage_refusals (owner, span, start);
