-- Learning from people: prototypes, clusters that last, questions, projection heads, and what was forgotten.

-- Steps also keep which cluster a face was in.
ALTER TABLE step_faces ADD COLUMN cluster_before text, ADD COLUMN cluster_after text;

-- Exemplars and centroids follow from faces and statements. A person whose photos span years has a centroid an era.
ALTER TABLE person_prototypes
    ADD COLUMN faces integer NOT NULL DEFAULT 1,        -- that were averaged
    ADD COLUMN taken_from date,                         -- of an era; null for all faces
    ADD COLUMN taken_until date;

-- What prototypes were made of: whatever changes a person's faces, SQL too, shows here.
CREATE TABLE prototype_sources (
    person_id uuid NOT NULL REFERENCES persons ON DELETE CASCADE,
    model_id smallint NOT NULL REFERENCES models,
    faces integer NOT NULL,
    fingerprint bigint NOT NULL,                        -- of the faces' ids
    prototypes integer NOT NULL,                        -- that were made
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person_id, model_id)
);

-- Whose faces there are, read from the index alone.
DROP INDEX face_detections_person;
CREATE INDEX face_detections_person ON face_detections (person_id) INCLUDE (id, detector_id)
    WHERE person_id IS NOT NULL;

-- What lists tell of a person; follows from the faces, as prototypes do.
CREATE TABLE person_totals (
    person_id uuid PRIMARY KEY REFERENCES persons ON DELETE CASCADE,
    faces integer NOT NULL,
    fingerprint bigint NOT NULL,                        -- of the faces' ids
    photos integer NOT NULL,
    taken_from date,
    taken_until date
);
CREATE FUNCTION forget_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM person_totals t USING face_detections f WHERE f.image_id = NEW.id AND t.person_id = f.person_id;
    RETURN NULL;
END $$;
CREATE TRIGGER images_taken_otherwise AFTER UPDATE OF taken ON images
    FOR EACH ROW WHEN (OLD.taken IS DISTINCT FROM NEW.taken) EXECUTE FUNCTION forget_totals();

-- A face that a human fixed as an exemplar of somebody, or dropped from them.
CREATE TABLE said_exemplars (
    face_id bigint NOT NULL REFERENCES face_detections ON DELETE CASCADE,
    person_id uuid NOT NULL,
    pinned boolean NOT NULL,
    said_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (face_id, person_id)
);
CREATE INDEX said_exemplars_person ON said_exemplars (person_id);

-- Runs of HDBSCAN whose hierarchy is kept, so that new faces can be placed in it. In force is the latest that
-- clusters name, so that a step taken back brings back the one before.
CREATE TABLE hdbscan_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id smallint NOT NULL REFERENCES models,
    run_id bigint REFERENCES runs ON DELETE SET NULL,
    parameters jsonb NOT NULL,
    faces integer NOT NULL,
    clusters integer NOT NULL,
    noise integer NOT NULL,
    arrays bytea NOT NULL,                              -- the format is described in docs/library.md
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX hdbscan_runs_model ON hdbscan_runs (model_id);

-- Density at which a face joined its cluster, and how far outside it lies (GLOSH); lambda 0: tried since then, and
-- placed nowhere.
CREATE TABLE hdbscan_faces (
    hdbscan_run_id bigint NOT NULL REFERENCES hdbscan_runs ON DELETE CASCADE,
    face_id bigint NOT NULL REFERENCES face_detections ON DELETE CASCADE,
    lambda real NOT NULL,
    outlier_score real NOT NULL,
    PRIMARY KEY (hdbscan_run_id, face_id)
);
CREATE INDEX hdbscan_faces_face ON hdbscan_faces (face_id);

-- What an algorithm grouped; the faces name it in `face_detections.cluster`.
CREATE TABLE clusters (
    id text PRIMARY KEY,
    model_id smallint NOT NULL REFERENCES models,
    hdbscan_run_id bigint,                              -- of a run that may be gone: steps bring rows back
    birth_lambda real,
    persistence real,                                   -- lambda at death less lambda at birth
    stability real,                                     -- relative to the others of its run
    epsilon real,                                       -- 1 / lambda at birth
    hidden boolean NOT NULL DEFAULT false,
    verified_at timestamptz,
    verified_by text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX clusters_model ON clusters (model_id);
CREATE SEQUENCE unknown_cluster_numbers;                -- of unknown_cluster_<n>: never used twice

-- Follows from the faces of a cluster, as prototypes from those of a person.
CREATE TABLE cluster_centers (
    cluster_id text PRIMARY KEY REFERENCES clusters ON DELETE CASCADE ON UPDATE CASCADE,
    faces integer NOT NULL,
    fingerprint bigint NOT NULL,
    centroid vector NOT NULL,
    medoid bigint REFERENCES face_detections ON DELETE SET NULL,
    medoid_faces integer NOT NULL DEFAULT 0,            -- of the cluster when its medoid was found
    made_at timestamptz NOT NULL DEFAULT now()
);

-- Faces that no run could place, and since when.
CREATE TABLE unassigned_faces (
    face_id bigint PRIMARY KEY REFERENCES face_detections ON DELETE CASCADE,
    since timestamptz NOT NULL DEFAULT now()
);

-- Questions about a face: near a person that it has not, or far from the one that it has.
ALTER TABLE face_candidates
    ADD COLUMN kind text NOT NULL DEFAULT 'near' CHECK (kind IN ('near', 'far')),
    ADD COLUMN status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'accepted', 'rejected')),
    ADD COLUMN uncertainty real NOT NULL DEFAULT 0.5,   -- 0 to 1: how likely an answer changes what stands
    ADD COLUMN evidence jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN answered_at timestamptz,
    ADD COLUMN answered_in bigint REFERENCES steps ON DELETE SET NULL;
CREATE INDEX face_candidates_answered_in ON face_candidates (answered_in) WHERE answered_in IS NOT NULL;
CREATE INDEX face_candidates_pending ON face_candidates (face_id) WHERE status = 'pending';

-- Questions about people: two who may be one, a cluster that may be somebody, one who may be two.
CREATE TABLE person_candidates (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('same', 'cluster', 'split')),
    person_id uuid NOT NULL REFERENCES persons ON DELETE CASCADE,
    other_id uuid REFERENCES persons ON DELETE CASCADE,
    cluster_id text,                                    -- that may be gone: answers stay, steps bring it back
    cosine_similarity real NOT NULL,
    faces integer NOT NULL,                             -- that an answer settles
    uncertainty real NOT NULL,                          -- 0 to 1: how likely an answer changes what stands
    evidence jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'accepted', 'rejected')),
    created_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    answered_in bigint REFERENCES steps ON DELETE SET NULL,
    CHECK ((kind = 'same') = (other_id IS NOT NULL) AND (kind = 'cluster') = (cluster_id IS NOT NULL))
);
CREATE UNIQUE INDEX person_candidates_once ON person_candidates
    (kind, person_id, coalesce(other_id::text, ''), coalesce(cluster_id, ''));
CREATE INDEX person_candidates_other ON person_candidates (other_id) WHERE other_id IS NOT NULL;
CREATE INDEX person_candidates_cluster ON person_candidates (cluster_id) WHERE cluster_id IS NOT NULL;
CREATE INDEX person_candidates_answered_in ON person_candidates (answered_in) WHERE answered_in IS NOT NULL;

-- When questions about a model's faces were last looked for, and what similarities meant then. Questions whose
-- answers were taken back, by `answered_in`, are open again; what statements answer is never asked.
CREATE TABLE question_runs (
    model_id smallint PRIMARY KEY REFERENCES models,
    step_id bigint NOT NULL,                            -- the latest step at that time
    typical real NOT NULL,
    middle real NOT NULL,
    spread real NOT NULL,
    faces integer NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- Learnt projections of a recogniser's vectors.
CREATE TABLE projection_heads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id smallint NOT NULL REFERENCES models,
    name text NOT NULL UNIQUE,
    onnx bytea NOT NULL,
    dimension integer NOT NULL CHECK (dimension > 0),
    metrics jsonb NOT NULL,
    calibration jsonb NOT NULL,                         -- thresholds that fit it
    active boolean NOT NULL DEFAULT false,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX projection_heads_active ON projection_heads (model_id) WHERE active;

-- Faces that are never to come back: hashes of image and box by a key of this library, and no vectors.
CREATE TABLE forgotten_faces (
    digest bytea PRIMARY KEY,
    forgotten_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE forgetting_key (key bytea NOT NULL);

-- Steps about somebody who was forgotten: what they would restore is gone.
ALTER TABLE steps ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
