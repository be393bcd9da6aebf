-- name: accounts
SELECT a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at FROM account AS a ORDER BY a.no;

-- name: account
SELECT a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at FROM account AS a
WHERE a.id = ?1 OR a.name = ?1 ORDER BY a.id = ?1 DESC LIMIT 1;

-- name: senders
SELECT s.id, s.no, s.name, s.channel, s.rate, s.settings, s.causes, s.created_at,
       a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at
FROM sender AS s JOIN account AS a ON a.no = s.account ORDER BY s.no;

-- name: sender
SELECT s.id, s.no, s.name, s.channel, s.rate, s.settings, s.causes, s.created_at,
       a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at
FROM sender AS s JOIN account AS a ON a.no = s.account
WHERE s.id = ?1 OR s.name = ?1 ORDER BY s.id = ?1 DESC LIMIT 1;

-- name: sender_by_no
SELECT s.id, s.no, s.name, s.channel, s.rate, s.settings, s.causes, s.created_at,
       a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at
FROM sender AS s JOIN account AS a ON a.no = s.account WHERE s.no = ?1;

-- name: account_named
SELECT id FROM account WHERE name = ?1;

-- name: sender_named
SELECT id FROM sender WHERE name = ?1;

-- name: create_account
INSERT INTO account (id, name, channel, settings, causes, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: create_sender
INSERT INTO sender (id, name, channel, account, rate, settings, causes, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: change_account
UPDATE account SET name = ?2, settings = ?3 WHERE no = ?1;

-- name: resume_account
UPDATE account SET causes = '[]' WHERE no = ?1;

-- name: change_sender
UPDATE sender SET name = ?2, rate = ?3, settings = ?4 WHERE no = ?1;

-- name: resume_sender
UPDATE sender SET causes = '[]' WHERE no = ?1;

-- name: reset_slots
UPDATE sender SET next_slot = min(next_slot, ?2) WHERE no = ?1;
