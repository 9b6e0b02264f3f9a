-- What each worker said of the jobs that wait in a queue: whether it takes them, and why not.
CREATE TABLE takers (
    worker text NOT NULL,                               -- a process of a host
    queue_name varchar(128) NOT NULL,
    host text NOT NULL,
    reason text NOT NULL,                               -- why it leaves them to others; empty: it takes them
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (queue_name, worker)
);
