-- Names that other programs gave, as they say them: on which face, or on none, or on the photo as a whole.

-- No references: steps bring rows back, and photos may be gone by then.
CREATE TABLE imported_names (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image_id bigint NOT NULL,
    program text NOT NULL,                    -- mwg, microsoft, picasa, digikam, osxphotos, takeout …
    name text NOT NULL,
    box real[],                               -- x1, y1, x2, y2 in fractions of the upright photo; null: nowhere
    face_id bigint,                           -- that lies there; null for none
    person_id uuid,                           -- whom the name means on that face
    read_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX imported_names_image ON imported_names (image_id);
CREATE INDEX imported_names_face ON imported_names (face_id) WHERE face_id IS NOT NULL;
CREATE TRIGGER imported_names_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON imported_names
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_questions();

-- A face that another program calls by a name, and that is somebody else here.
ALTER TABLE face_candidates DROP CONSTRAINT face_candidates_kind_check,
    ADD CHECK (kind IN ('near', 'far', 'age', 'import'));
