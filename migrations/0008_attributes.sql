-- How old people look, and of which sex: of each face by a model, and of each person by their faces.

-- Beside the age and sex of a face, how likely it is a man's; sex says M or F where that is 0.8 or more, else U.
ALTER TABLE face_detections ADD COLUMN male real;
CREATE INDEX face_detections_age ON face_detections (age) WHERE age IS NOT NULL;

CREATE TABLE face_attributes (
    face_id bigint PRIMARY KEY REFERENCES face_detections ON DELETE CASCADE,
    raw jsonb NOT NULL                        -- the model's own output
);
