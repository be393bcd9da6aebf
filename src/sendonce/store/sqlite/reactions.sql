-- name: contract_pause
SELECT state, causes FROM contract WHERE no = ?1 AND deleting = 0;

-- name: pause_contract
UPDATE contract SET state = ?2, causes = ?3 WHERE no = ?1;

-- name: sender_causes
SELECT causes FROM sender WHERE no = ?1;

-- name: pause_sender
UPDATE sender SET causes = ?2 WHERE no = ?1;

-- name: account_of
SELECT account FROM sender WHERE no = ?1;

-- name: account_causes
SELECT causes FROM account WHERE no = ?1;

-- name: pause_account
UPDATE account SET causes = ?2 WHERE no = ?1;

-- name: senders_of_account
SELECT no FROM sender WHERE account = ?1;
