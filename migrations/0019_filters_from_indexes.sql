-- So that it is known from the index alone which of some photos, or of the faces on them, have a tag: those of
-- one tag lie together there, and not beside all other tags of each photo.

ALTER TABLE image_tags DROP CONSTRAINT image_tags_pkey, ADD PRIMARY KEY (tag_id, image_id);
CREATE INDEX image_tags_image ON image_tags (image_id);

DROP INDEX face_tags_tag;
ALTER TABLE face_tags DROP CONSTRAINT face_tags_pkey, ADD PRIMARY KEY (tag_id, face_id);
CREATE INDEX face_tags_face ON face_tags (face_id);

-- When some photos were taken, likewise.
CREATE INDEX images_id_taken ON images (id) INCLUDE (taken);
