-- Of which content a photo is, so that its sidecar is known again where both were moved.

ALTER TABLE xmp_sidecars ADD COLUMN sha256 text COLLATE "C";   -- of the photo
UPDATE xmp_sidecars s SET sha256 = i.sha256 FROM image_paths p JOIN images i ON i.id = p.image_id
    WHERE p.path = s.path;
CREATE INDEX xmp_sidecars_content ON xmp_sidecars (sha256);
