-- What serves lists of API keys in other orders than by creation. The sorted name
-- is the first line of search: in lower case, compared byte by byte.

-- +goose Up
CREATE INDEX api_keys_by_name ON api_keys ((split_part(search, chr(10), 1) COLLATE "C"), id);
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at, id);
CREATE INDEX api_keys_limited ON api_keys (created_at, id) WHERE ops_limit > 0 OR day_budget > 0 OR month_budget > 0;
