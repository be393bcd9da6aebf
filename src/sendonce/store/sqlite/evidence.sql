-- name: note_flow
INSERT INTO flow (sender, bucket, accepted, receipted) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, receipted = receipted + excluded.receipted;

-- name: note_receipts
-- Receipts alone (?3 is 0) count where the acceptance was counted and not dropped since.
UPDATE flow SET accepted = accepted + ?3, receipted = receipted + ?4 WHERE sender = ?1 AND bucket = ?2;

-- name: drop_old_flow
-- Counts of before bucket ?1, found sender by sender.
DELETE FROM flow WHERE (sender, bucket) IN (
    SELECT f.sender, f.bucket FROM sender AS s CROSS JOIN flow AS f ON f.sender = s.no AND f.bucket < ?1 LIMIT 500);

-- name: flow_between
SELECT coalesce(sum(accepted), 0), coalesce(sum(receipted), 0) FROM flow
WHERE sender = ?1 AND bucket BETWEEN ?2 AND ?3;

-- name: note_heard
-- Receipts of these senders (a JSON array) came at ?2. That is news where messages became unknown since the last time.
INSERT INTO heard (sender, at)
SELECT wanted.value, ?2 FROM json_each(?1) AS wanted
WHERE EXISTS (SELECT 1 FROM unknown AS u WHERE u.sender = wanted.value AND u.until_at <= ?2 AND u.until_at > coalesce(
    (SELECT max(h.at) FROM heard AS h WHERE h.sender = wanted.value), -1));

-- name: drop_old_heard
-- What was heard before ?1, found sender by sender.
DELETE FROM heard WHERE (sender, at) IN (
    SELECT h.sender, h.at FROM sender AS s CROSS JOIN heard AS h ON h.sender = s.no AND h.at < ?1 LIMIT 500);
