-- name: rest_sender
-- The provider asked for less: the sender's next slot is not before ?2.
UPDATE sender SET next_slot = max(next_slot, ?2) WHERE no = ?1;

-- name: contract_state
SELECT state FROM contract WHERE no = ?1;

-- name: rewound_at
SELECT rewound_at FROM contract WHERE no = ?1;
