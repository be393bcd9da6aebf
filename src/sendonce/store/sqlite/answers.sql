-- name: taken_in_range
-- Messages of a fresh window that were settled before they could start.
SELECT key FROM message WHERE key BETWEEN ?1 AND ?2;

-- name: save_provider_ids
INSERT OR IGNORE INTO provider_id (hash, key, attempt);

-- name: rest_sender
-- The provider asked for less: the sender's next slot is not before ?2.
UPDATE sender SET next_slot = max(next_slot, ?2) WHERE no = ?1;
