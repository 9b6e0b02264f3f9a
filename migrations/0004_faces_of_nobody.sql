-- Faces that are nobody's, a cluster at a time, the best first: counted, shown and paged from the index alone.
CREATE INDEX face_detections_nobody ON face_detections (cluster, quality DESC, id) WHERE person_id IS NULL;
