-- People: what humans said about them, and every change as a step that can be taken back.

-- One change by a human or a run. A step that takes another one back says which.
CREATE TABLE steps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,                       -- name, merge, move, cluster …
    who text NOT NULL,                        -- user@host
    what text NOT NULL,                       -- in words
    run_id bigint REFERENCES runs ON DELETE SET NULL,
    undoes bigint REFERENCES steps ON DELETE CASCADE,
    undone boolean NOT NULL DEFAULT false,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX steps_run ON steps (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX steps_undoes ON steps (undoes) WHERE undoes IS NOT NULL;

-- Faces that a step gave to somebody or took away. No reference to faces: photos may be deleted, and a
-- reference would cost as much again as the row.
CREATE TABLE step_faces (
    step_id bigint NOT NULL REFERENCES steps ON DELETE CASCADE,
    face_id bigint NOT NULL,
    person_before uuid,
    by_before text,
    at_before timestamptz,
    person_after uuid,
    by_after text,
    at_after timestamptz,
    PRIMARY KEY (step_id, face_id)
);

-- Rows of small tables as they were before a step, and after it; null where there was none.
CREATE TABLE step_rows (
    step_id bigint NOT NULL REFERENCES steps ON DELETE CASCADE,
    in_table text NOT NULL,
    key text NOT NULL,
    before jsonb,
    after jsonb,
    PRIMARY KEY (step_id, in_table, key)
);

-- Whom a step is about.
CREATE TABLE step_persons (
    person_id uuid NOT NULL,
    step_id bigint NOT NULL REFERENCES steps ON DELETE CASCADE,
    PRIMARY KEY (person_id, step_id)
);
CREATE INDEX step_persons_step ON step_persons (step_id);

-- What humans said, by face. These do not refer to persons: whoever empties that table loses nothing of it, and
-- the next `cluster` brings the people back.
CREATE TABLE said_people (
    person_id uuid PRIMARY KEY,
    names text[] NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'hidden')),
    said_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE said_faces (
    face_id bigint NOT NULL REFERENCES face_detections ON DELETE CASCADE,
    person_id uuid NOT NULL,
    is_person boolean NOT NULL,
    said_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (face_id, person_id)
);
CREATE UNIQUE INDEX said_faces_one_person ON said_faces (face_id) WHERE is_person;
CREATE INDEX said_faces_person ON said_faces (person_id);

CREATE TABLE said_of_faces (
    face_a bigint NOT NULL REFERENCES face_detections ON DELETE CASCADE,
    face_b bigint NOT NULL REFERENCES face_detections ON DELETE CASCADE,
    same boolean NOT NULL,
    said_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (face_a, face_b),
    CHECK (face_a < face_b)
);
CREATE INDEX said_of_faces_b ON said_of_faces (face_b);

-- Two people who are not one.
CREATE TABLE said_of_people (
    person_a uuid NOT NULL,
    person_b uuid NOT NULL,
    said_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person_a, person_b),
    CHECK (person_a < person_b)
);
CREATE INDEX said_of_people_b ON said_of_people (person_b);
