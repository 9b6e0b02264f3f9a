-- What is counted stays counted: whether anything changed which questions are open is seen at a glance, and so is
-- of which moment the totals of people are.

-- A row for each connection, so that nobody waits for anybody else, and written once in a transaction.
CREATE TABLE changes_of_questions (
    slot integer PRIMARY KEY,                           -- of a connection, by its process
    changed_in xid8 NOT NULL
);
CREATE FUNCTION note_change_of_questions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes_of_questions AS c VALUES (pg_backend_pid() % 1024, pg_current_xact_id())
        ON CONFLICT (slot) DO UPDATE SET changed_in = excluded.changed_in
            WHERE c.changed_in <> excluded.changed_in;
    RETURN NULL;
END $$;
CREATE TRIGGER face_candidates_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON face_candidates
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();
CREATE TRIGGER person_candidates_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON person_candidates
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();
CREATE TRIGGER prototype_sources_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON prototype_sources
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();
CREATE TRIGGER said_faces_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON said_faces
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();
CREATE TRIGGER said_of_faces_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON said_of_faces
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();
CREATE TRIGGER said_of_people_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON said_of_people
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();
CREATE TRIGGER steps_undone AFTER UPDATE OF undone OR DELETE OR TRUNCATE ON steps
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();

-- Of which state of who is who something kept is, so that whoever needs it next looks only at what changed since.
CREATE TABLE kept_states (
    what text PRIMARY KEY,
    step bigint NOT NULL,                               -- the latest at that time
    others bigint NOT NULL                              -- the sum of changes_without_step
);
-- What is kept, and which exemplars were said, may be changed by SQL, too.
CREATE TRIGGER said_exemplars_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON said_exemplars
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER person_prototypes_gone AFTER DELETE OR TRUNCATE ON person_prototypes
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER prototype_sources_gone AFTER DELETE OR TRUNCATE ON prototype_sources
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER person_totals_gone AFTER DELETE OR TRUNCATE ON person_totals
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
