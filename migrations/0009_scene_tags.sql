-- What photos and faces show, in words: categories of tags, and which tags each photo and face has.
--
-- A category with the source `clip` is asked about by prompts: its vectors are kept for each CLIP model and made
-- again when its prompts change. Another source fills categories of its own, which need no prompts.

CREATE TABLE tag_categories (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    target text NOT NULL CHECK (target IN ('scene', 'face')),
    source text NOT NULL DEFAULT 'clip' CHECK (source <> ''),
    selection_mode text NOT NULL CHECK (selection_mode IN ('single', 'multi')),
    min_confidence double precision NOT NULL CHECK (min_confidence >= 0 AND min_confidence <= 1),
    templates text[] NOT NULL,                -- each with {} in place of a phrase
    none_prompts text[] NOT NULL,             -- what "none of these" looks like
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tags (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    category_id smallint NOT NULL REFERENCES tag_categories ON DELETE CASCADE,
    place integer NOT NULL,                   -- among the tags of the category
    name text NOT NULL CHECK (name <> ''),
    phrases text[] NOT NULL                   -- a prompt is a template with one of these
);
CREATE UNIQUE INDEX tags_name ON tags (category_id, lower(name));
CREATE INDEX tags_any_name ON tags (lower(name));

-- Of each tag of a category in its place, then of "none of these" if there is such a prompt.
CREATE TABLE tag_vectors (
    category_id smallint NOT NULL REFERENCES tag_categories ON DELETE CASCADE,
    model_id smallint NOT NULL REFERENCES models,
    prompts_sha256 text NOT NULL,             -- of the prompts that they were made of
    logit_scale double precision NOT NULL,    -- of the model, when they were last used
    vectors real[] NOT NULL,                  -- one row a tag, of unit length
    PRIMARY KEY (category_id, model_id)
);

CREATE TABLE image_tags (
    image_id bigint NOT NULL REFERENCES images ON DELETE CASCADE,
    tag_id integer NOT NULL REFERENCES tags ON DELETE CASCADE,
    model_id smallint REFERENCES models,      -- null where no model of the library made it
    confidence real NOT NULL,
    taken timestamp,                          -- of the image, so that the latest photos of a tag are at hand
    PRIMARY KEY (image_id, tag_id)
);
CREATE INDEX image_tags_tag ON image_tags (tag_id, taken DESC NULLS LAST, image_id DESC);

CREATE FUNCTION let_tags_follow_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE image_tags SET taken = NEW.taken WHERE image_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER image_tags_taken AFTER UPDATE OF taken ON images
    FOR EACH ROW WHEN (OLD.taken IS DISTINCT FROM NEW.taken) EXECUTE FUNCTION let_tags_follow_time();

CREATE TABLE face_tags (
    face_id bigint NOT NULL REFERENCES face_detections ON DELETE CASCADE,
    tag_id integer NOT NULL REFERENCES tags ON DELETE CASCADE,
    model_id smallint REFERENCES models,
    confidence real NOT NULL,
    PRIMARY KEY (face_id, tag_id)
);
CREATE INDEX face_tags_tag ON face_tags (tag_id, face_id);

-- CLIP of the crop around a face, so that other prompts need no photo again.
CREATE TABLE face_clip_embeddings (
    face_id bigint NOT NULL REFERENCES face_detections ON DELETE CASCADE,
    model_id smallint NOT NULL REFERENCES models,
    embedding vector NOT NULL,                -- unit length
    PRIMARY KEY (face_id, model_id)
);
ALTER TABLE face_clip_embeddings ALTER COLUMN embedding SET STORAGE PLAIN;
