-- Photos of which no file is left. They keep all that is known of them for the day they come back, and count nowhere:
-- whatever lists or counts looks at these views. `index`, `pipeline` and `check` note which files are gone; a photo
-- that no path leads to any more is missing as well, however its paths went.

ALTER TABLE images
    ADD COLUMN missing_since timestamptz,
    ADD COLUMN replaced_by bigint;            -- the image whose content took its place, at the same path
CREATE INDEX images_missing ON images (id) WHERE missing_since IS NOT NULL;
UPDATE images i SET missing_since = now()
    WHERE NOT EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '');

-- Hardly any photo is missing: who is, is read from an index that holds nothing else.
CREATE VIEW present_images AS SELECT * FROM images WHERE missing_since IS NULL;
CREATE VIEW present_faces AS SELECT * FROM face_detections f
    WHERE NOT EXISTS (SELECT FROM images m WHERE m.id = f.image_id AND m.missing_since IS NOT NULL);
-- Faces that are compared with new ones: those of people stand for them still, wherever their photos are.
CREATE VIEW comparable_faces AS SELECT * FROM face_detections f
    WHERE f.person_id IS NOT NULL
        OR NOT EXISTS (SELECT FROM images m WHERE m.id = f.image_id AND m.missing_since IS NOT NULL);

-- What is missed: not a former content of a file that was changed, once all that was known of it has passed on.
CREATE VIEW missing_images AS SELECT * FROM images i
    WHERE missing_since IS NOT NULL AND (replaced_by IS NULL OR EXISTS (
        SELECT FROM face_detections f WHERE f.image_id = i.id AND (f.person_id IS NOT NULL
            OR EXISTS (SELECT FROM said_faces s WHERE s.face_id = f.id)
            OR EXISTS (SELECT FROM said_of_faces s WHERE f.id IN (s.face_a, s.face_b))
            OR EXISTS (SELECT FROM said_exemplars s WHERE s.face_id = f.id))));

CREATE FUNCTION follow_paths() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lost bigint[];
    back bigint[];
BEGIN
    IF TG_OP = 'DELETE' THEN
        lost := ARRAY(SELECT DISTINCT image_id FROM before WHERE image_id IS NOT NULL);
    ELSIF TG_OP = 'UPDATE' THEN
        lost := ARRAY(SELECT DISTINCT b.image_id FROM before b JOIN after a ON a.id = b.id
            WHERE b.image_id IS NOT NULL AND (a.image_id, a.reason) IS DISTINCT FROM (b.image_id, b.reason));
        -- Read again or relocated: a file is there, or is said to be.
        back := ARRAY(SELECT DISTINCT i.id FROM before b JOIN after a ON a.id = b.id
            JOIN images i ON i.id = a.image_id AND i.missing_since IS NOT NULL
            WHERE a.mtime_ns >= 0 AND a.reason = '' AND (a.image_id, a.path, a.size, a.mtime_ns, a.reason)
                IS DISTINCT FROM (b.image_id, b.path, b.size, b.mtime_ns, b.reason));
    ELSE
        back := ARRAY(SELECT DISTINCT i.id FROM after a
            JOIN images i ON i.id = a.image_id AND i.missing_since IS NOT NULL WHERE a.reason = '');
    END IF;
    IF lost <> '{}' THEN
        lost := ARRAY(SELECT i.id FROM images i WHERE i.id = ANY(lost) AND i.missing_since IS NULL
            AND NOT EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = ''));
    END IF;
    -- An update of no row counts as a change just the same.
    IF lost <> '{}' THEN
        UPDATE images SET missing_since = now() WHERE id = ANY(lost);
    END IF;
    IF back <> '{}' THEN
        UPDATE images SET missing_since = NULL, replaced_by = NULL WHERE id = ANY(back);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER image_paths_found AFTER INSERT ON image_paths
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION follow_paths();
CREATE TRIGGER image_paths_otherwise AFTER UPDATE ON image_paths
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION follow_paths();
CREATE TRIGGER image_paths_gone AFTER DELETE ON image_paths
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION follow_paths();

-- Totals of people and open questions leave them out, too.
CREATE TRIGGER images_missing_changed AFTER UPDATE OF missing_since ON images
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_without_step();
CREATE TRIGGER images_missing_asked AFTER UPDATE OF missing_since ON images
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();
-- What a path led to before another content lay there, until its names have passed on.
ALTER TABLE image_paths ADD COLUMN held_id bigint;

DELETE FROM kept_states WHERE what = 'totals';
