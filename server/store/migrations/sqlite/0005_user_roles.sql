-- Roles that administrators give to people, what people are found by, and when somebody
-- proved who they are.

-- +goose Up
ALTER TABLE users ADD COLUMN role_list TEXT NOT NULL DEFAULT '[]';
ALTER TABLE users ADD COLUMN roles_version INTEGER NOT NULL DEFAULT 0; -- raised by each change of the list
ALTER TABLE users ADD COLUMN search TEXT NOT NULL DEFAULT ''; -- name, address, subject: lower case, a line each
UPDATE users SET search = LOWER(username || char(10) || email || char(10) || subject);
ALTER TABLE sessions ADD COLUMN proved_at INTEGER NOT NULL DEFAULT 0; -- 0: not for this session
