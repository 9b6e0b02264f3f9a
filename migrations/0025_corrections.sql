-- What users decide is called a correction, in tables as everywhere else.

ALTER TABLE kept_states RENAME TO computed_states;
ALTER INDEX kept_states_pkey RENAME TO computed_states_pkey;
ALTER INDEX face_detections_nobody RENAME TO face_detections_unassigned;
ALTER TABLE said_people RENAME TO person_corrections;
ALTER TABLE said_faces RENAME TO face_corrections;
ALTER TABLE said_of_faces RENAME TO face_pair_corrections;
ALTER TABLE said_of_people RENAME TO person_pair_corrections;
ALTER TABLE said_exemplars RENAME TO prototype_corrections;
ALTER TABLE said_births RENAME TO birth_corrections;

DO $$
DECLARE
    old text;
    new text;
    each record;
BEGIN
    FOR old, new IN VALUES ('said_people', 'person_corrections'), ('said_faces', 'face_corrections'),
        ('said_of_faces', 'face_pair_corrections'), ('said_of_people', 'person_pair_corrections'),
        ('said_exemplars', 'prototype_corrections'), ('said_births', 'birth_corrections')
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME COLUMN said_at TO corrected_at', new);
        FOR each IN SELECT conname AS name FROM pg_constraint
            WHERE conrelid = new::regclass AND starts_with(conname, old || '_')
        LOOP
            EXECUTE format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', new, each.name,
                new || substr(each.name, length(old) + 1));
        END LOOP;
        FOR each IN SELECT relname AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            WHERE indrelid = new::regclass AND starts_with(relname, old || '_')
        LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', each.name, new || substr(each.name, length(old) + 1));
        END LOOP;
        FOR each IN SELECT tgname AS name FROM pg_trigger
            WHERE tgrelid = new::regclass AND starts_with(tgname, old || '_')
        LOOP
            EXECUTE format('ALTER TRIGGER %I ON %I RENAME TO %I', each.name, new,
                new || substr(each.name, length(old) + 1));
        END LOOP;
        -- Steps that were made before can still be undone.
        UPDATE step_rows SET in_table = new,
            before = (before - 'said_at') || jsonb_build_object('corrected_at', before -> 'said_at'),
            after = (after - 'said_at') || jsonb_build_object('corrected_at', after -> 'said_at')
            WHERE in_table = old;
    END LOOP;
END $$;
