/* schema.c - tables and functions. What has to happen as one is one function, so that it needs one round trip and no lock outlives it.
 *
 * Design notes
 * - An append takes its lock by the one row of log_end, numbers, checks keys, inserts, and moves the row on: the commit of that one statement sets the lock free. In
 *   READ COMMITTED each statement of the function sees what was committed before it, so after the lock everything of those that had it before.
 * - Keys are checked against all of the log, not only against what is indexed: with them in the append's own transaction no node can miss another's.
 * - A batch that was said to be not stored stands in `refused`: should its append still be on its way somewhere, it fails.
 * - A row of `postings` has up to 120 events of one list, or one (entries IS NULL): the greatest place is (at, seq), the least (low_at, low_seq). The events of a row are of one second, so
 *   rows of different seconds never overlap, and a list is read newest first without a sort. The row with the greatest place of all holds the list's length.
 * - Functions, not FROM clauses with tables, are what the planner misjudges: sessions set enable_seqscan and the like off (session.c), since all that is asked here has its index.
 */
#include "storage/postgres/postgres.h"

#define TEXT "text COLLATE \"C\""

static const char log_1[] =
  "CREATE TABLE log_end(one int PRIMARY KEY CHECK(one=1), seq bigint NOT NULL, created_at bigint NOT NULL, ids bigint[] NOT NULL);"
  "INSERT INTO log_end VALUES(1, 0, 0, array_fill(0::bigint, ARRAY[63]));"
  "CREATE TABLE events(seq bigint PRIMARY KEY, kind smallint NOT NULL, id bigint NOT NULL, created_at bigint NOT NULL, amount bigint NOT NULL, ref bigint NOT "
  "NULL, room " TEXT ", \"user\" " TEXT ", peer " TEXT ", body " TEXT ", target " TEXT ", metadata " TEXT ", key " TEXT ", currency " TEXT
  ", UNIQUE(kind, id));"
  "CREATE TABLE keys(h bigint NOT NULL, g bigint NOT NULL, created_at bigint NOT NULL, seq bigint NOT NULL);"
  "CREATE INDEX keys_h ON keys(h);"
  "CREATE INDEX keys_age ON keys(created_at);"
  "CREATE TABLE batches(last_seq bigint PRIMARY KEY, first_seq bigint NOT NULL, batch uuid NOT NULL);"
  "CREATE TABLE refused(batch uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());"
  "CREATE TABLE config(kind int, id bigint, doc " TEXT " NOT NULL, PRIMARY KEY(kind, id));"
  "CREATE TABLE config_ids(kind int PRIMARY KEY, last_id bigint NOT NULL);"

  "CREATE FUNCTION outcome(a_batch uuid, a_after bigint, OUT first_seq bigint, OUT last_seq bigint) LANGUAGE plpgsql AS $$"
  " BEGIN"
  "  PERFORM FROM log_end WHERE one=1 FOR UPDATE;"
  "  SELECT b.first_seq, b.last_seq INTO first_seq, last_seq FROM batches b WHERE b.last_seq>a_after AND b.batch=a_batch;"
  "  IF NOT FOUND THEN INSERT INTO refused(batch) VALUES(a_batch) ON CONFLICT DO NOTHING; END IF;"
  " END $$;"

  /* A slice each, some 10 ms: what nobody will ask for any more. An outcome is asked for within minutes. */
  "CREATE FUNCTION clean_up(a_expired bigint) RETURNS bool LANGUAGE plpgsql AS $$"
  " DECLARE n int; m int; last bigint := (SELECT seq FROM log_end WHERE one=1);"
  " BEGIN"
  "  DELETE FROM keys WHERE ctid=ANY(ARRAY(SELECT ctid FROM keys WHERE created_at<=a_expired ORDER BY created_at LIMIT 10000));"
  "  GET DIAGNOSTICS n = ROW_COUNT;"
  "  DELETE FROM batches WHERE last_seq<=(SELECT max(last_seq) FROM (SELECT last_seq FROM batches WHERE last_seq<last-1000000 ORDER BY last_seq LIMIT 2000) b);"
  "  GET DIAGNOSTICS m = ROW_COUNT;"
  "  DELETE FROM refused WHERE at<now()-interval '1 day';"
  "  RETURN n=10000 OR m=2000;"
  " END $$;";

static const char index_1[] =
  "DROP TABLE IF EXISTS index_state, postings, facts;"
  "CREATE TABLE index_state(one int PRIMARY KEY CHECK(one=1), cursor bigint NOT NULL, newest_at bigint NOT NULL, facts_cursor bigint NOT NULL);"
  "INSERT INTO index_state VALUES(1, 0, -9223372036854775808, 0);"
  "CREATE TABLE postings(h bigint NOT NULL, g bigint NOT NULL, at bigint NOT NULL, seq bigint NOT NULL, total bigint NOT NULL, low_at bigint, low_seq bigint, "
  "entries bytea);"
  "ALTER TABLE postings ALTER entries SET STORAGE PLAIN;"
  "CREATE INDEX postings_place ON postings(h, at, seq);"
  "CREATE TABLE facts(key bytea PRIMARY KEY, value bytea NOT NULL) WITH (autovacuum_vacuum_scale_factor=0.05);"
  "ALTER TABLE facts ALTER value SET STORAGE EXTERNAL;"

  "CREATE OR REPLACE FUNCTION derive(a_first bigint, a_last bigint, a_newest bigint, a_back_h bigint[], a_back_g bigint[], a_back_at bigint[], a_back_seq "
  "bigint[], a_back_n bigint[],"
  " a_h bigint[], a_g bigint[], a_at bigint[], a_seq bigint[], a_upto bigint[], a_low_at bigint[], a_low_seq bigint[], a_entries bytea[]) RETURNS void "
  "LANGUAGE plpgsql AS $$"
  " BEGIN"
  "  UPDATE index_state SET cursor=a_last, newest_at=greatest(newest_at, a_newest) WHERE one=1 AND cursor=a_first-1;"
  "  IF NOT FOUND THEN RAISE EXCEPTION 'events from % on do not follow what is indexed', a_first USING ERRCODE='TC002'; END IF;"
  /* Lists whose newest event is newer than all that comes now: it keeps the length. */
  "  UPDATE postings p SET total=p.total+b.n FROM unnest(a_back_h, a_back_g, a_back_at, a_back_seq, a_back_n) b(h, g, at, seq, n),"
  "   LATERAL (SELECT q.at, q.seq FROM postings q WHERE q.h=b.h AND q.g=b.g ORDER BY q.at DESC, q.seq DESC LIMIT 1) t"
  "   WHERE p.h=b.h AND p.g=b.g AND p.at=t.at AND p.seq=t.seq AND (t.at, t.seq)>(b.at, b.seq);"
  "  INSERT INTO postings SELECT i.h, i.g, i.at, i.seq, i.upto+coalesce((SELECT p.total FROM postings p WHERE p.h=i.h AND p.g=i.g ORDER BY p.at DESC, p.seq "
  "DESC LIMIT 1), 0),"
  "   i.low_at, i.low_seq, i.entries FROM unnest(a_h, a_g, a_at, a_seq, a_upto, a_low_at, a_low_seq, a_entries) i(h, g, at, seq, upto, low_at, low_seq, "
  "entries);"
  " END $$;"

  "CREATE OR REPLACE FUNCTION facts_commit(a_seq bigint, a_keys bytea[], a_values bytea[], a_gone bytea[]) RETURNS void LANGUAGE plpgsql AS $$"
  " BEGIN"
  "  UPDATE index_state SET facts_cursor=a_seq WHERE one=1 AND facts_cursor<=a_seq AND cursor>=a_seq;"
  "  IF NOT FOUND THEN RAISE EXCEPTION 'facts up to % do not lie between their cursor and the index', a_seq USING ERRCODE='TC002'; END IF;"
  "  INSERT INTO facts SELECT i.k, i.v FROM unnest(a_keys, a_values) i(k, v) ON CONFLICT (key) DO UPDATE SET value=excluded.value;"
  "  DELETE FROM facts f USING unnest(a_gone) i(k) WHERE f.key=i.k;"
  " END $$;";

static const char work_1[] =
  "CREATE TABLE work_state(one int PRIMARY KEY CHECK(one=1), cursor bigint NOT NULL, last_id bigint NOT NULL, kept bigint NOT NULL);"
  "INSERT INTO work_state SELECT 1, seq, 0, 0 FROM log_end;"
  "CREATE TABLE owed(webhook bigint, seq bigint, lane bigint NOT NULL, ready bool NOT NULL, due bigint NOT NULL, first bigint NOT NULL, attempt int NOT NULL, "
  "flags int NOT NULL,"
  " PRIMARY KEY(webhook, seq));"
  "CREATE INDEX owed_ready ON owed(webhook, due, seq) WHERE ready;"
  "CREATE INDEX owed_lane ON owed(webhook, lane, seq) WHERE lane<>-1;"
  "CREATE INDEX owed_head ON owed(webhook, lane) WHERE ready AND lane<>-1;"
  "CREATE TABLE deliveries(id bigint PRIMARY KEY, webhook bigint NOT NULL, seq bigint NOT NULL, created_at bigint NOT NULL, duration bigint NOT NULL, attempt "
  "int NOT NULL,"
  " status int NOT NULL, success int NOT NULL, event " TEXT ", response " TEXT ", error " TEXT ");"
  "CREATE INDEX deliveries_webhook ON deliveries(webhook, id);"
  "CREATE INDEX deliveries_age ON deliveries(created_at, id);"
  "CREATE TABLE counts(webhook bigint PRIMARY KEY, kept bigint NOT NULL);"

  /* Of a lane only its first row is ready. The lanes that are touched are looked over once, at the end. */
  "CREATE FUNCTION work_commit(a_cursor bigint, a_gone_hook bigint[], a_gone_seq bigint[], a_hook bigint[], a_seq bigint[], a_lane bigint[], a_due bigint[], "
  "a_first bigint[],"
  " a_attempt int[], a_flags int[], l_hook bigint[], l_seq bigint[], l_at bigint[], l_duration bigint[], l_attempt int[], l_status int[], l_success int[], "
  "l_event text[],"
  " l_response text[], l_error text[]) RETURNS bigint LANGUAGE plpgsql AS $$"
  " DECLARE hooks bigint[]; lanes bigint[]; n int := cardinality(l_hook); base bigint;"
  " BEGIN"
  "  SELECT array_agg(t.hook), array_agg(t.lane) INTO hooks, lanes FROM ("
  "   SELECT o.webhook AS hook, o.lane FROM unnest(a_gone_hook, a_gone_seq) i(hook, seq) JOIN owed o ON o.webhook=i.hook AND o.seq=i.seq WHERE o.lane<>-1"
  "   UNION SELECT o.webhook, o.lane FROM unnest(a_hook, a_seq) i(hook, seq) JOIN owed o ON o.webhook=i.hook AND o.seq=i.seq WHERE o.lane<>-1"
  "   UNION SELECT i.hook, i.lane FROM unnest(a_hook, a_lane) i(hook, lane) WHERE i.lane<>-1) t;"
  "  DELETE FROM owed o USING unnest(a_gone_hook, a_gone_seq) i(hook, seq) WHERE o.webhook=i.hook AND o.seq=i.seq;"
  "  INSERT INTO owed SELECT i.hook, i.seq, i.lane, i.lane=-1, i.due, i.first, i.attempt, i.flags"
  "   FROM unnest(a_hook, a_seq, a_lane, a_due, a_first, a_attempt, a_flags) i(hook, seq, lane, due, first, attempt, flags)"
  "   ON CONFLICT (webhook, seq) DO UPDATE SET lane=excluded.lane, ready=excluded.ready, due=excluded.due, first=excluded.first, attempt=excluded.attempt, "
  "flags=excluded.flags;"
  "  UPDATE owed o SET ready=false FROM unnest(hooks, lanes) i(hook, lane) WHERE o.webhook=i.hook AND o.lane=i.lane AND o.lane<>-1 AND o.ready"
  "   AND o.seq<>(SELECT p.seq FROM owed p WHERE p.webhook=i.hook AND p.lane=i.lane AND p.lane<>-1 ORDER BY p.seq LIMIT 1);"
  "  UPDATE owed o SET ready=true FROM unnest(hooks, lanes) i(hook, lane),"
  "   LATERAL (SELECT p.seq FROM owed p WHERE p.webhook=i.hook AND p.lane=i.lane AND p.lane<>-1 ORDER BY p.seq LIMIT 1) h"
  "   WHERE o.webhook=i.hook AND o.seq=h.seq AND NOT o.ready;"
  "  UPDATE work_state SET cursor=greatest(cursor, a_cursor), last_id=last_id+n, kept=kept+n WHERE one=1 RETURNING last_id-n INTO base;"
  "  INSERT INTO deliveries SELECT base+i.o, i.hook, i.seq, i.at, i.duration, i.attempt, i.status, i.success, i.event, i.response, i.error"
  "   FROM unnest(l_hook, l_seq, l_at, l_duration, l_attempt, l_status, l_success, l_event, l_response, l_error) WITH ORDINALITY"
  "   i(hook, seq, at, duration, attempt, status, success, event, response, error, o);"
  "  INSERT INTO counts SELECT i.hook, count(*) FROM unnest(l_hook) i(hook) GROUP BY i.hook ON CONFLICT (webhook) DO UPDATE SET kept=counts.kept+excluded.kept;"
  "  RETURN base;"
  " END $$;"

  /* The newest first: so what is left of a lane still has its first. */
  "CREATE FUNCTION work_forget(a_hook bigint, a_max bigint) RETURNS bool LANGUAGE plpgsql AS $$"
  " BEGIN"
  "  DELETE FROM owed WHERE webhook=a_hook AND seq=ANY(ARRAY(SELECT seq FROM owed WHERE webhook=a_hook ORDER BY seq DESC LIMIT a_max));"
  "  RETURN EXISTS(SELECT FROM owed WHERE webhook=a_hook);"
  " END $$;"

  "CREATE FUNCTION work_trim(a_before bigint, a_max bigint) RETURNS int LANGUAGE plpgsql AS $$"
  " DECLARE excess bigint; ids bigint[]; hooks bigint[];"
  " BEGIN"
  "  SELECT greatest(kept-greatest(a_max, 0), 0) INTO excess FROM work_state WHERE one=1;"
  "  SELECT array_agg(d.id), array_agg(d.webhook) INTO ids, hooks FROM"
  "   (SELECT id, webhook, created_at, row_number() OVER (ORDER BY created_at, id) AS place FROM deliveries ORDER BY created_at, id LIMIT 512) d"
  "   WHERE d.created_at<a_before OR d.place<=excess;"
  "  IF ids IS NULL THEN RETURN 0; END IF;"
  "  DELETE FROM deliveries WHERE id=ANY(ids);"
  "  UPDATE counts c SET kept=c.kept-i.n FROM (SELECT hook, count(*) AS n FROM unnest(hooks) hook GROUP BY hook) i WHERE c.webhook=i.hook;"
  "  DELETE FROM counts WHERE kept=0;"
  "  UPDATE work_state SET kept=kept-cardinality(ids) WHERE one=1;"
  "  RETURN cardinality(ids);"
  " END $$;";

const tci_pg_migration tci_pg_log_steps[] = {{1, log_1}, {2, tci_pg_log_2}, {3, tci_pg_log_3}, {0, NULL}};
const tci_pg_migration tci_pg_work_steps[] = {{1, work_1}, {2, tci_pg_work_2}, {0, NULL}};
const tci_pg_migration tci_pg_index_step = {1, index_1};
