-- name: rest_sender
-- The provider asked for less: the sender's next slot is not before ?2.
UPDATE sender SET next_slot = max(next_slot, ?2) WHERE no = ?1;

-- name: contract_state
SELECT state FROM contract WHERE no = ?1;

-- name: rewound_at
SELECT rewound_at FROM contract WHERE no = ?1;

-- name: frozen_since
-- When the contract was frozen because nobody knows what it lost; NULL if it is not.
SELECT iif(causes LIKE '%"rewound"%', rewound_at, NULL) FROM contract WHERE no = ?1;
