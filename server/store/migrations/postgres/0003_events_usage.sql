-- Times are milliseconds since 1970 UTC, 0 for none; lists are JSON. Texts that order
-- rows are compared byte by byte, as SQLite does.

-- +goose Up
CREATE TABLE webhooks (
  id          TEXT PRIMARY KEY,
  owner       TEXT NOT NULL,
  everybodys  BOOLEAN NOT NULL, -- also the events of others
  url         TEXT NOT NULL,
  description TEXT NOT NULL,
  event_types TEXT NOT NULL,
  secret      BYTEA,
  old_secret  BYTEA,
  old_ends    BIGINT NOT NULL,
  disabled_at BIGINT NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  version     BIGINT NOT NULL
);
CREATE INDEX webhooks_newest ON webhooks (created_at, id);
CREATE INDEX webhooks_of_owner ON webhooks (owner, created_at, id);
CREATE INDEX webhooks_of_everybody ON webhooks (id) WHERE everybodys;
CREATE INDEX webhooks_disabled ON webhooks (id) WHERE disabled_at <> 0;

-- An event stays as long as a delivery needs it.
CREATE TABLE events (
  id      TEXT PRIMARY KEY,
  type    TEXT NOT NULL,
  owner   TEXT NOT NULL,
  at      BIGINT NOT NULL,
  payload BYTEA NOT NULL
);
CREATE INDEX events_at ON events (at);

CREATE TABLE deliveries (
  id          TEXT PRIMARY KEY,
  endpoint_id TEXT NOT NULL REFERENCES webhooks (id),
  event_id    TEXT NOT NULL REFERENCES events (id),
  state       TEXT NOT NULL,
  attempts    BIGINT NOT NULL,
  created_at  BIGINT NOT NULL,
  next_at     BIGINT NOT NULL,
  due_at      BIGINT NOT NULL, -- next_at, or when the claim of a process ends
  last_at     BIGINT NOT NULL,
  last_status BIGINT NOT NULL,
  last_error  TEXT NOT NULL,
  last_body   TEXT NOT NULL
);
CREATE INDEX deliveries_newest ON deliveries (endpoint_id, created_at, id);
CREATE INDEX deliveries_in_state ON deliveries (endpoint_id, state, created_at, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id);
CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_ended ON deliveries (last_at, id) WHERE state <> 'pending';

-- Counts of a minute (span 0), an hour (1) or a day (2). l0 to l13 are the
-- requests by how long they took.
CREATE TABLE usage (
  span      BIGINT NOT NULL,
  start     BIGINT NOT NULL,
  key_id    TEXT COLLATE "C" NOT NULL,
  owner     TEXT COLLATE "C" NOT NULL,
  client    TEXT COLLATE "C" NOT NULL,
  route     TEXT COLLATE "C" NOT NULL,
  requests  BIGINT NOT NULL,
  errors    BIGINT NOT NULL,
  bytes_in  BIGINT NOT NULL,
  bytes_out BIGINT NOT NULL,
  l0        BIGINT NOT NULL,
  l1        BIGINT NOT NULL,
  l2        BIGINT NOT NULL,
  l3        BIGINT NOT NULL,
  l4        BIGINT NOT NULL,
  l5        BIGINT NOT NULL,
  l6        BIGINT NOT NULL,
  l7        BIGINT NOT NULL,
  l8        BIGINT NOT NULL,
  l9        BIGINT NOT NULL,
  l10       BIGINT NOT NULL,
  l11       BIGINT NOT NULL,
  l12       BIGINT NOT NULL,
  l13       BIGINT NOT NULL,
  PRIMARY KEY (span, start, key_id, owner, client, route)
);
CREATE INDEX usage_of_key ON usage (key_id, span, start);
CREATE INDEX usage_of_owner ON usage (owner, span, start);

CREATE TABLE usage_refusals (
  span   BIGINT NOT NULL,
  start  BIGINT NOT NULL,
  key_id TEXT COLLATE "C" NOT NULL,
  owner  TEXT COLLATE "C" NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  route  TEXT COLLATE "C" NOT NULL,
  code   TEXT COLLATE "C" NOT NULL,
  count  BIGINT NOT NULL,
  PRIMARY KEY (span, start, key_id, owner, client, route, code)
);
CREATE INDEX usage_refusals_of_key ON usage_refusals (key_id, span, start);
CREATE INDEX usage_refusals_of_owner ON usage_refusals (owner, span, start);
