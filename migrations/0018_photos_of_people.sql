-- So that the photos of a person are known from the index alone: a search that asks for more than the person
-- looks through all of them.

DROP INDEX face_detections_person;
CREATE INDEX face_detections_person ON face_detections (person_id, image_id) INCLUDE (id, detector_id)
    WHERE person_id IS NOT NULL;
