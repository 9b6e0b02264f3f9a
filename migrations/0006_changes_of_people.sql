-- Whether anything but steps changed who is who: photos that come and go, and SQL. Who keeps counts looks here. A row
-- for each connection, so that nobody waits for anybody else, and written once in a transaction.
CREATE TABLE changes_without_step (
    slot integer PRIMARY KEY,                           -- of a connection, by its process
    changed_in xid8 NOT NULL
);
CREATE FUNCTION note_change_without_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What steps change they note themselves; no step adds or removes faces.
    IF TG_OP = 'UPDATE' OR TG_TABLE_NAME <> 'face_detections' THEN
        IF current_setting('facesets.makes_step', true) = 'yes' THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO changes_without_step AS c VALUES (pg_backend_pid() % 1024, pg_current_xact_id())
        ON CONFLICT (slot) DO UPDATE SET changed_in = excluded.changed_in
            WHERE c.changed_in <> excluded.changed_in;
    RETURN NULL;
END $$;
CREATE TRIGGER face_detections_changed
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF person_id, cluster, detector_id, image_id ON face_detections
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER persons_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF id, status ON persons
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER person_names_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE ON person_names
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER clusters_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF id, hidden ON clusters
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER images_taken_changed AFTER UPDATE OF taken ON images
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();

-- In the row, as vectors of faces are: everybody's are compared with a face in a fraction of the time.
ALTER TABLE person_prototypes ALTER COLUMN embedding SET STORAGE PLAIN;
UPDATE person_prototypes SET embedding = embedding::real[]::vector;

-- The likeliest questions about faces, in the order in which they are asked.
CREATE INDEX face_candidates_likeliest ON face_candidates (uncertainty DESC, face_id, person_id);
