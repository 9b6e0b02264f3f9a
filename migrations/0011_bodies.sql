-- People as a body detector sees them on photos: a body, a face, or both.
--
-- A face that was found to be recognised is referred to, and has box and score in face_detections. Columns of
-- the face hold one that only the body detector sees. What is suggested about bodies is worked out when it is
-- asked for, and kept nowhere: nothing here says who somebody is. Which model saw them is in image_stages.

CREATE TABLE bodies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image_id bigint NOT NULL REFERENCES images ON DELETE CASCADE,
    x1 real,                                  -- body, in pixels of the upright image
    y1 real,
    x2 real,
    y2 real,
    score real,
    face_x1 real,
    face_y1 real,
    face_x2 real,
    face_y2 real,
    face_score real,
    face_id bigint REFERENCES face_detections ON DELETE SET NULL,
    colours bytea,                            -- of what the person wears; null where that cannot be told
    CHECK (num_nulls(x1, y1, x2, y2, score) IN (0, 5)),
    CHECK (num_nulls(face_x1, face_y1, face_x2, face_y2, face_score) IN (0, 5)),
    CHECK (x1 IS NOT NULL OR face_x1 IS NOT NULL)
);
CREATE INDEX bodies_image ON bodies (image_id);
CREATE INDEX bodies_face ON bodies (face_id) WHERE face_id IS NOT NULL;
