// Package store keeps sessions, users, login attempts, API keys, budgets, the
// audit log, events, and OAuth's clients, grants and tokens in SQL: in one SQLite
// file by default, or in PostgreSQL where several processes serve one address. It
// is the Store of the packages whose records it keeps, and it owns the tables,
// their migrations, and the change table by which the memories of all processes
// follow what any of them did.
//
// It decides nothing: who may end which session, what a claim means and how long
// a session lasts are package session's, and so it is with keys. It sees no cookie,
// no key and no token, only hashes and sealed bytes, and it remembers nothing
// itself. What is written down with a change (Journal) is in its transaction.
//
// Both databases run the same statements where they can; a dialect holds what
// differs. Reads go through Store.read, changes through Store.write, which is one
// transaction, repeated when the database asks for it. Whoever adds a table adds
// a migration to both folders of migrations, and tells other processes with
// conn.changed in the same transaction.
//
// CockroachDB speaks PostgreSQL's protocol and is taken for what it is: without
// LISTEN and NOTIFY, with transactions that must be repeated. It is not among the
// databases that the tests run.
package store
