-- name: head_by_id
SELECT no, id, spec FROM contract WHERE id = ?1 AND deleting = 0;

-- name: head_by_no
SELECT no, id, spec FROM contract WHERE no = ?1;

-- name: complete_contract
UPDATE contract SET state = ?1, causes = '[]', finished_at = ?2 WHERE no = ?3;

-- name: reopen_contract
UPDATE contract SET state = iif(causes = '[]', ?1, ?2), finished_at = NULL WHERE no = ?3;
