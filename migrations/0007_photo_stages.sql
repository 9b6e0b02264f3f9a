-- What was found out about photos beside faces and embeddings: each kind is a stage, such as metadata.
--
-- An image without a row of a stage, or with one of another version, is pending there. Searching for faces
-- keeps its own record in face_scans.

CREATE TABLE stage_versions (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stage text NOT NULL,
    version text NOT NULL,                    -- of the reader, or what names the model's weights
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stage, version)
);

CREATE TABLE image_stages (
    image_id bigint NOT NULL REFERENCES images ON DELETE CASCADE,
    stage text NOT NULL,
    version_id smallint NOT NULL REFERENCES stage_versions,
    status text NOT NULL CHECK (status IN ('processing', 'completed', 'failed')),
    reason text NOT NULL DEFAULT '',
    ended_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (image_id, stage)
);
CREATE INDEX image_stages_open ON image_stages (stage, status) WHERE status <> 'completed';
