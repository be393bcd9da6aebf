"""The key map. All keys share one hash tag, so that a cluster keeps them together.

{sendonce}:history                  hash    branch, fork, commits, store, last_seen; the shift of store time; the
                                            server's run, whether it syncs each commit, `calling` during a roll call;
                                            numbers given so far: `…_no`; the last commit of each writer
{sendonce}:call                     hash    while a roll call is open: what is asked, of whom, and what was answered
{sendonce}:branches                 hash    branches that led here or are lost: id → fork
{sendonce}:meta                     hash    single values
{sendonce}:tally                    hash    messages by state over all contracts
{sendonce}:once                     hash    idempotency keys
{sendonce}:ids                      hash    contract id → number
{sendonce}:contracts                zset    ids of contracts that are not being deleted, score 0
{sendonce}:contracts:STATE          zset    the same by state
{sendonce}:frozen                   zset    ids of contracts with a cause `rewound…`
{sendonce}:c:NO                     hash    a contract's facts
{sendonce}:n:NO                     hash    its counters
{sendonce}:bad:NO                   zset    refused rows by number
{sendonce}:r:NO                     hash    recipients: chunk → packed rows
{sendonce}:m:NO:CHUNK               string  latest attempts, a record for each seq
{sendonce}:x:NO:CHUNK               hash    seq → latest attempt, of those that need more than a record
{sendonce}:a:NO:CHUNK               hash    seq → earlier attempts
{sendonce}:due:NO                   zset    seq by when its retry is due
{sendonce}:s:NO:STATE               zset    seq of messages with a row in a state that few are in
{sendonce}:leases                   hash    open leases
{sendonce}:u                        hash    unknown messages: key → what is known
{sendonce}:u:look                   zset    their keys by when they are looked at
{sendonce}:u:NO                     zset    their seqs by contract
{sendonce}:u:contracts              zset    contracts with unknown messages
{sendonce}:flow:SENDER              hash    bucket + `a` accepted, `r` receipted
{sendonce}:heard:SENDER             zset    moments at which receipts came
{sendonce}:p:EPOCH:BUCKET           string  entries of the index of provider ids
{sendonce}:strays                   hash    number → receipt that nothing explains
{sendonce}:strays:hash              hash    hash of a provider id → numbers
{sendonce}:strays:age               zset    numbers by when they came, those without a token
{sendonce}:strays:token             zset    the same, those with a token
{sendonce}:strays:of:CONTRACT       zset    numbers of those that name a contract
{sendonce}:posts                    hash    number → webhook post
{sendonce}:posts:INSTANCE           zset    numbers that an instance has to apply
{sendonce}:posts:waiting            zset    numbers that are to be applied by anybody
{sendonce}:posts:aside              zset    numbers of those that cannot be read
{sendonce}:plans                    hash    number → operation over many messages
{sendonce}:accounts, senders        hash    number → record
{sendonce}:names                    hash    kind + name or id → number
{sendonce}:slots                    hash    sender's number → its next slot
{sendonce}:instances                hash    running processes
"""

PREFIX = "{sendonce}:"
HISTORY, TALLY, CALL = f"{PREFIX}history", f"{PREFIX}tally", f"{PREFIX}call"

#: Messages whose rows share a string: with records of 60 bytes it fills 8 KiB, a size in which memory is given out.
ROWS = 136
#: Recipients that share a value.
RECIPIENTS = 500


def key(*parts: object) -> str:
    """A key by its parts."""
    return PREFIX + ":".join(map(str, parts))


def chunk_of(seq: int, size: int) -> int:
    """Which chunk a seq is in; seqs count from 1."""
    return (seq - 1) // size
