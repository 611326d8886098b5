#include "storage/postgres/postgres.h"

/* As append() of schema.c, but with the ids given. A log that ends elsewhere is left alone: no row comes back. */
#define TCI_PG_IMPORT_SQL                                                                                                                                      \
  "WITH l AS MATERIALIZED (SELECT seq FROM log_end WHERE one=1 AND seq=$1 FOR UPDATE), e AS (INSERT INTO events SELECT l.seq+i.o, i.kind, i.id, i.created, "   \
  "i.amount, i.ref, i.room, i.u, i.peer, i.body, i.target, i.metadata, i.key, i.currency FROM l, unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[], " \
  "$6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[]) WITH ORDINALITY i(kind, id, created, "   \
  "amount, ref, room, u, peer, body, target, metadata, key, currency, o)), k AS (INSERT INTO keys SELECT i.h, i.g, ($4::bigint[])[i.pos], l.seq+i.pos FROM "   \
  "l, "                                                                                                                                                        \
  "unnest($15::int[], $16::bigint[], $17::bigint[]) i(pos, h, g)) UPDATE log_end SET seq=log_end.seq+cardinality($2::int[]), "                                 \
  "created_at=($4::bigint[])[cardinality($4::bigint[])], ids=ARRAY(SELECT greatest(log_end.ids[n], coalesce((SELECT max(u.id) FROM unnest($2::int[], "         \
  "$3::bigint[]) u(kind, id) WHERE u.kind=n), 0)) FROM generate_series(1, 63) n ORDER BY n) FROM l WHERE one=1 RETURNING log_end.seq"
#define OWED "webhook, seq, lane, due, first, attempt, flags"
#define LOGGED "id, webhook, seq, created_at, duration, attempt, status, success, event, response, error"

const char *const tci_pg_sql[TCI_PG_STATEMENTS] = {
  [TCI_PG_APPEND] = "SELECT first_seq, base_ids, known, stamp, config FROM append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
                    "$18, $19, $20, $21, $22, $23, $24)",
  [TCI_PG_OUTCOME] = "SELECT first_seq, last_seq FROM outcome($1, $2)",
  [TCI_PG_OUTCOME_IDS] = "SELECT id, created_at FROM events WHERE seq BETWEEN $1 AND $2 ORDER BY seq",
  [TCI_PG_LOOK] = "SELECT epoch, log_seq, index_seq, facts_seq, config, followed, sender, shares, open_shares FROM look($1, $2, $3, $4)",
  [TCI_PG_TELL] = "SELECT pg_notify($1, $2)",
  [TCI_PG_RESIGN] = "SELECT resign($1, $2)",
  [TCI_PG_CONFIG_VERSION] = "SELECT version FROM config_state WHERE one=1",
  [TCI_PG_CONFIG_PUT] = "SELECT config_put($1, $2, $3, $4, $5)",
  [TCI_PG_CONFIG_REMOVE] = "SELECT config_remove($1, $2, $3, $4)",
  [TCI_PG_CONFIG_READ] = "SELECT id, doc FROM config WHERE kind=$1 ORDER BY id",
  [TCI_PG_CONFIG_LAST] = "SELECT coalesce((SELECT last_id FROM config_ids WHERE kind=$1), 0)",
  [TCI_PG_IMPORT] = TCI_PG_IMPORT_SQL,
  /* fence(): only for the leader; work_fence(): only for a sender. It is called first, and in READ COMMITTED the other sees all that was committed before it let us in. */
  [TCI_PG_DERIVE] = "SELECT derive($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) FROM fence($17)",
  [TCI_PG_INDEX_CURSOR] = "SELECT cursor, newest_at FROM index_state WHERE one=1",
  [TCI_PG_CLEAN_UP] = "SELECT clean_up($1)::int FROM fence($2)",
  [TCI_PG_FACTS_CURSOR] = "SELECT facts_cursor FROM index_state WHERE one=1",
  [TCI_PG_FACTS_COMMIT] = "SELECT facts_commit($1, $2, $3, $4) FROM fence($5)",
  [TCI_PG_FACT_FIRST] = "SELECT key, value FROM facts WHERE key>=$1 ORDER BY key LIMIT 1",
  [TCI_PG_FACTS_SCAN] = "SELECT key, value FROM facts WHERE key>=$1 AND key<$2 ORDER BY key LIMIT $3",
  [TCI_PG_WORK_COMMIT] = "SELECT work_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) "
                         "FROM work_fence($21)",
  [TCI_PG_WORK_STATE] = "SELECT min(cursor) FROM work_shares",
  [TCI_PG_WORK_HOLD] = "SELECT share, cursor FROM work_hold($1, $2)",
  /* From webhook to webhook by the index, however much each is owed. */
  [TCI_PG_WORK_HEADS] =
    "WITH RECURSIVE heads AS ((SELECT " OWED " FROM owed WHERE ready ORDER BY webhook, due, seq LIMIT 1) UNION ALL"
    " SELECT o.* FROM heads h, LATERAL (SELECT " OWED " FROM owed WHERE ready AND webhook>h.webhook ORDER BY webhook, due, seq LIMIT 1) o) SELECT * FROM heads",
  [TCI_PG_WORK_DUE] = "SELECT " OWED " FROM owed WHERE ready AND webhook=$1 AND due<=$2 ORDER BY due, seq LIMIT $3",
  [TCI_PG_OWED_READ] = "SELECT " OWED " FROM owed WHERE webhook=$1 AND seq>$2 ORDER BY seq LIMIT $3",
  [TCI_PG_WORK_FORGET] = "SELECT work_forget($1, $2)::int FROM work_fence($3)",
  [TCI_PG_WORK_TRIM] = "SELECT work_trim($1, $2) FROM work_fence($3)",
  [TCI_PG_DELIVERIES_TOTAL] = "SELECT kept FROM counts WHERE webhook=$1",
  /* The offset is walked in the index alone, not over the rows with their texts. */
  [TCI_PG_DELIVERIES] =
    "SELECT " LOGGED " FROM deliveries WHERE id=ANY(ARRAY(SELECT id FROM deliveries WHERE webhook=$1 ORDER BY id DESC LIMIT $2 OFFSET $3)) ORDER BY id DESC",
  [TCI_PG_DELIVERY] = "SELECT " LOGGED " FROM deliveries WHERE id=$1 AND webhook=$2",
  [TCI_PG_READ_LOG] = "SELECT " TCI_PG_EVENT " FROM events e WHERE e.seq>$1 ORDER BY e.seq LIMIT $2",
  [TCI_PG_FOLLOW_LOG] = "SELECT " TCI_PG_EVENT ", (SELECT version FROM config_state WHERE one=1) FROM events e WHERE e.seq>$1 ORDER BY e.seq LIMIT $2",
  [TCI_PG_LENGTHS] = "SELECT coalesce((SELECT p.total FROM postings p WHERE p.h=i.h AND p.g=i.g ORDER BY p.at DESC, p.seq DESC LIMIT 1), 0)"
                     " FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY i(h, g, o) ORDER BY i.o",
  [TCI_PG_POSTINGS] = "SELECT at, seq, entries FROM postings WHERE h=$1 AND g=$2 AND (at, seq)<($3, $4) AND (coalesce(low_at, at), coalesce(low_seq, "
                      "seq))<($5::bigint, $6::bigint)"
                      " ORDER BY at DESC, seq DESC LIMIT $7",
  [TCI_PG_FETCH] = "SELECT " TCI_PG_EVENT " FROM unnest($1::bigint[]) WITH ORDINALITY i(seq, o) LEFT JOIN events e ON e.seq=i.seq ORDER BY i.o",
  [TCI_PG_FIND_ID] = "SELECT seq FROM events WHERE kind=$1::int AND id=$2 AND seq<=$3",
};
