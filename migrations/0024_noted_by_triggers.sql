-- Steps note by themselves what changes while they are made: whoever changes rows of people says nothing.

-- A plan that was made for one row serves a million later, so it must not compare each with each.
CREATE FUNCTION note_faces_of_step() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    number bigint := nullif(current_setting('facesets.step', true), '');
BEGIN
    IF number IS NOT NULL THEN
        INSERT INTO step_faces (step_id, face_id, person_before, by_before, at_before, cluster_before,
            person_after, by_after, at_after, cluster_after)
        SELECT number, o.id, o.person_id, o.assigned_by, o.assigned_at, o.cluster,
            n.person_id, n.assigned_by, n.assigned_at, n.cluster
        FROM were o JOIN are n ON n.id = o.id
        -- CASE: of rows that may be distinct PostgreSQL expects that hardly any are.
        WHERE CASE WHEN (o.person_id, o.assigned_by, o.assigned_at, o.cluster)
            IS NOT DISTINCT FROM (n.person_id, n.assigned_by, n.assigned_at, n.cluster) THEN false ELSE true END
        ON CONFLICT (step_id, face_id) DO UPDATE SET person_after = excluded.person_after,
            by_after = excluded.by_after, at_after = excluded.at_after, cluster_after = excluded.cluster_after;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER noted_by_step AFTER UPDATE ON face_detections REFERENCING OLD TABLE AS were NEW TABLE AS are
    FOR EACH STATEMENT EXECUTE FUNCTION note_faces_of_step();

-- A row is known by the columns that are given, with a space between.
CREATE FUNCTION note_rows_of_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    number bigint := nullif(current_setting('facesets.step', true), '');
BEGIN
    IF number IS NOT NULL AND TG_OP <> 'INSERT' THEN
        INSERT INTO step_rows (step_id, in_table, key, before)
        SELECT number, TG_TABLE_NAME, concat_ws(' ', r ->> TG_ARGV[0], r ->> TG_ARGV[1]), r
        FROM (SELECT to_jsonb(were.*) AS r FROM were) o
        ON CONFLICT (step_id, in_table, key) DO UPDATE SET after = NULL;
    END IF;
    IF number IS NOT NULL AND TG_OP <> 'DELETE' THEN
        INSERT INTO step_rows (step_id, in_table, key, after)
        SELECT number, TG_TABLE_NAME, concat_ws(' ', r ->> TG_ARGV[0], r ->> TG_ARGV[1]), r
        FROM (SELECT to_jsonb(are.*) AS r FROM are) n
        ON CONFLICT (step_id, in_table, key) DO UPDATE SET after = excluded.after;
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE
    named text;
    key text;
    happens text;
    rows text;
BEGIN
    FOR named, key IN VALUES ('persons', 'id'), ('person_names', 'id'), ('said_people', 'person_id'),
        ('said_faces', 'face_id, person_id'), ('said_of_faces', 'face_a, face_b'),
        ('said_of_people', 'person_a, person_b'), ('said_exemplars', 'face_id, person_id'),
        ('said_births', 'person_id'), ('imported_names', 'id'), ('clusters', 'id')
    LOOP
        FOR happens, rows IN VALUES ('insert', 'NEW TABLE AS are'), ('delete', 'OLD TABLE AS were'),
            ('update', 'OLD TABLE AS were NEW TABLE AS are')
        LOOP
            EXECUTE format('CREATE TRIGGER noted_on_%s AFTER %s ON %I REFERENCING %s FOR EACH STATEMENT
                EXECUTE FUNCTION note_rows_of_step(%s)', happens, happens, named, rows, key);
        END LOOP;
    END LOOP;
END $$;
