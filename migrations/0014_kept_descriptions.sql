-- What was paid stays: a description belongs to a content, as requests do. It outlives the image, and is there again
-- as soon as the photo is.

ALTER TABLE descriptions ADD COLUMN sha256 text COLLATE "C" CHECK (length(sha256) = 64);
UPDATE descriptions d SET sha256 = i.sha256 FROM images i WHERE i.id = d.image_id;
ALTER TABLE descriptions
    DROP CONSTRAINT descriptions_pkey,
    DROP CONSTRAINT descriptions_image_id_fkey,
    ALTER COLUMN image_id DROP NOT NULL,      -- NULL while there is no image of that content
    ALTER COLUMN sha256 SET NOT NULL,
    ADD PRIMARY KEY (sha256),
    ADD UNIQUE (image_id),
    ADD FOREIGN KEY (image_id) REFERENCES images ON DELETE SET NULL;
CREATE INDEX description_requests_content ON description_requests (sha256);
