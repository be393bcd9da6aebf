-- name: next_piece
SELECT id, kind, contract, filter, next_key FROM bulk ORDER BY id LIMIT 1;

-- name: reached
UPDATE bulk SET next_key = ?2 WHERE id = ?1;

-- name: done
DELETE FROM bulk WHERE id = ?1;

-- name: contracts_with_failures
SELECT no FROM contract WHERE failed > 0 AND deleting = 0 AND state NOT IN (6, 7) ORDER BY no;

-- name: rewound_at
SELECT rewound_at FROM contract WHERE no = ?1;

-- name: failed_keys
-- Failed messages of a contract that match, in order of key, from behind :after on.
SELECT m.key FROM message AS m
WHERE m.key >> 32 = :contract AND m.state = 5 AND m.state <> 4 AND +m.key > :after AND +m.key < :end
  AND (:code IS NULL OR m.error ->> '$.code' = :code)
  AND (:spared IS NULL OR m.error ->> '$.code' <> :spared)
  AND (:forced OR (SELECT c.rewound_at IS NULL OR (m.sender IS NOT NULL AND m.answered_at > c.rewound_at)
                   FROM contract AS c WHERE c.no = :contract))
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = m.key) = :recipient)
ORDER BY m.key LIMIT :limit;

-- name: failed_count
SELECT count(*) FROM message AS m
WHERE m.key >> 32 = :contract AND m.state = 5 AND m.state <> 4 AND +m.key > :after AND +m.key < :end
  AND (:code IS NULL OR m.error ->> '$.code' = :code)
  AND (:spared IS NULL OR m.error ->> '$.code' <> :spared)
  AND (:forced OR (SELECT c.rewound_at IS NULL OR (m.sender IS NOT NULL AND m.answered_at > c.rewound_at)
                   FROM contract AS c WHERE c.no = :contract))
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = m.key) = :recipient);

-- name: contract_state
SELECT state FROM contract WHERE no = ?1;

-- name: due_keys
SELECT key FROM message WHERE key >> 32 = ?1 AND due IS NOT NULL LIMIT ?2;

-- name: extent
SELECT sealed, total FROM contract WHERE no = ?1;

-- name: recipient_keys
SELECT key FROM recipient WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3;

-- name: delete_attempt
DELETE FROM attempt WHERE key > ?1 AND key <= ?2;

-- name: delete_unknown
DELETE FROM unknown WHERE key > ?1 AND key <= ?2;

-- name: delete_message
DELETE FROM message WHERE key > ?1 AND key <= ?2;

-- name: delete_recipient
DELETE FROM recipient WHERE key > ?1 AND key <= ?2;

-- name: delete_refusals
DELETE FROM refusal WHERE contract = ?1;

-- name: delete_senders
DELETE FROM contract_sender WHERE contract = ?1;

-- name: delete_freed
DELETE FROM freed WHERE contract = ?1;

-- name: delete_contract
DELETE FROM contract WHERE no = ?1;
