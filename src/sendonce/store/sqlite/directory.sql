-- name: accounts
SELECT a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at FROM account AS a ORDER BY a.no;

-- name: account
SELECT a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at FROM account AS a
WHERE a.id = ?1 OR a.name = ?1 ORDER BY a.id = ?1 DESC LIMIT 1;

-- name: senders
SELECT s.id, s.no, s.name, s.channel, s.rate, s.settings, s.causes, s.created_at, s.share, s.share_at,
       a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at
FROM sender AS s JOIN account AS a ON a.no = s.account ORDER BY s.no;

-- name: sender
SELECT s.id, s.no, s.name, s.channel, s.rate, s.settings, s.causes, s.created_at, s.share, s.share_at,
       a.id, a.no, a.name, a.channel, a.settings, a.causes, a.created_at
FROM sender AS s JOIN account AS a ON a.no = s.account
WHERE s.id = ?1 OR s.name = ?1 ORDER BY s.id = ?1 DESC LIMIT 1;

-- name: sender_by_no
SELECT s.id, s.no, s.name, s.channel, s.rate, s.settings, s.causes, s.created_at, s.share, s.share_at,
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

-- name: change_sender
UPDATE sender SET name = ?2, rate = ?3, settings = ?4 WHERE no = ?1;

-- name: reset_slots
UPDATE sender SET next_slot = min(next_slot, ?2) WHERE no = ?1;

-- name: sender_names
SELECT no, name FROM sender;

-- name: senders_of
SELECT no FROM sender WHERE account = ?1;

-- name: account_causes
SELECT causes FROM account WHERE no = ?1;

-- name: sender_causes
SELECT causes FROM sender WHERE no = ?1;

-- name: set_account_causes
UPDATE account SET causes = ?2 WHERE no = ?1;

-- name: set_sender_causes
UPDATE sender SET causes = ?2 WHERE no = ?1;

-- name: with_budget
-- Senders that are not paused and have a free slot before ?1, the longest unserved first.
SELECT s.no, s.rate, s.share, s.share_at
FROM sender AS s JOIN account AS a ON a.no = s.account
WHERE s.causes = '[]' AND a.causes = '[]' AND s.next_slot <= ?1
ORDER BY s.next_slot;

-- name: next_slot
-- The next slot of a sender whose budget is spent until after ?1.
SELECT min(s.next_slot) FROM sender AS s JOIN account AS a ON a.no = s.account
WHERE s.causes = '[]' AND a.causes = '[]' AND s.next_slot > ?1;

-- name: take_slots
-- GCRA: the sender's slots go on from its last one, or from now.
UPDATE sender SET next_slot = max(next_slot, ?2) + ?3 WHERE no = ?1 RETURNING next_slot;

-- name: rest
-- The provider asked for less: the sender's next slot is not before ?2.
UPDATE sender SET next_slot = max(next_slot, ?2) WHERE no = ?1;

-- name: pace
SELECT share, share_at FROM sender WHERE no = ?1;

-- name: set_pace
UPDATE sender SET share = ?2, share_at = ?3 WHERE no = ?1;
