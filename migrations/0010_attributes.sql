-- How old people look, and of which sex: of each face by a model, and of each person by their faces.

-- Beside the age and sex of a face, how likely it is a man's; sex says M or F where that is 0.8 or more, else U.
ALTER TABLE face_detections ADD COLUMN male real;

CREATE TABLE face_attributes (
    face_id bigint PRIMARY KEY REFERENCES face_detections ON DELETE CASCADE,
    raw jsonb NOT NULL                        -- the model's own output
);

-- When a human said that somebody was born. As all that was said it does not refer to persons.
CREATE TABLE said_births (
    person_id uuid PRIMARY KEY,
    year smallint NOT NULL,
    born_on date CHECK (extract(year FROM born_on) = year),
    said_at timestamptz NOT NULL DEFAULT now()
);

-- Follows from the faces of a person, as totals do.
CREATE TABLE person_ages (
    person_id uuid PRIMARY KEY REFERENCES persons ON DELETE CASCADE,
    faces integer NOT NULL,
    fingerprint bigint NOT NULL,              -- of the faces' ids
    birth_year real,                          -- median of the photos' years less the ages
    spread real,                              -- median absolute deviation from it, times 1.4826
    dated_faces integer NOT NULL,             -- with age, on a photo with a date
    male real,                                -- how likely, by the log-odds of all faces
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION forget_ages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'images' THEN
        DELETE FROM person_ages a USING face_detections f WHERE f.image_id = NEW.id AND a.person_id = f.person_id;
    ELSE
        DELETE FROM person_ages WHERE person_id = NEW.person_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER images_taken_changes_ages AFTER UPDATE OF taken ON images
    FOR EACH ROW WHEN (OLD.taken IS DISTINCT FROM NEW.taken) EXECUTE FUNCTION forget_ages();
CREATE TRIGGER face_age_changed AFTER UPDATE OF age, male ON face_detections
    FOR EACH ROW WHEN (NEW.person_id IS NOT NULL
        AND (OLD.age, OLD.male) IS DISTINCT FROM (NEW.age, NEW.male)) EXECUTE FUNCTION forget_ages();

-- A face that looks too old or too young for its person.
ALTER TABLE face_candidates DROP CONSTRAINT face_candidates_kind_check,
    ADD CHECK (kind IN ('near', 'far', 'age'));
