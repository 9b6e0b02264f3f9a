"""Jobs of many parts: how they stand is known without looking at each part's job."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from tests.fixtures.waiting import wait_for

from facesets.jobs.queueing import Order, cancel, put, put_parts
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.queue.job_list import JobLine, Parts, list_jobs
from facesets.store.postgres.queue.notes import PART_OF_INDEX, note_end, note_start, parts_in
from facesets.store.postgres.queue.schema import install, look_into_queue, shipped

_PARTS = 3000
_WAITING = """SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND NOT l.granted"""


def make_parts(database: Database, count: int) -> tuple[int, list[int]]:
    """A job with so many parts of 10 photos; their numbers."""
    number = put(database, Order("index"))
    put_parts(database, [Order(PART_OF_INDEX)] * count, number, [10] * count)
    return number, database.run(lambda connection: parts_in(connection, number, ("todo",)))


def set_status(connection: Connection, parts: list[int], *statuses: str) -> None:
    look_into_queue(connection)
    for status in statuses:
        connection.execute(
            "UPDATE procrastinate_jobs SET status = %s::procrastinate_job_status WHERE id = ANY(%s)",
            (status, parts),
        )


def rows_read(connection: Connection) -> int:
    """How many rows of jobs this session read so far."""
    row = connection.execute(
        """SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
            WHERE relid = 'queue.procrastinate_jobs'::regclass"""
    ).fetchone()
    return int(row[0]) if row else 0


def the_job(database: Database) -> JobLine:
    (job,) = database.run(lambda connection: list_jobs(connection, limit=9))
    return job


def test_the_list_of_jobs_does_not_read_the_jobs_of_their_parts(database: Database) -> None:
    install(database)
    make_parts(database, _PARTS)
    database.run(lambda connection: connection.execute("ANALYZE queue.procrastinate_jobs, queue.job_notes"))

    def read(connection: Connection) -> tuple[int, int]:
        before = rows_read(connection)
        list_jobs(connection, limit=20)
        return before, rows_read(connection)

    before, after = database.run(read)
    assert after - before < 100
    assert the_job(database).parts == Parts(waiting=_PARTS)


def test_results_of_parts_are_summed_even_if_one_is_repeated(database: Database) -> None:
    install(database)
    _, parts = make_parts(database, 4)

    def work(connection: Connection) -> None:
        set_status(connection, parts[:3], "doing")
        for part in parts[:3]:
            note_start(connection, part, "here")
        note_end(
            connection,
            parts[0],
            {"indexed": 4, "seconds": 1.5, "failures": [], "stopped": True},
            is_over=False,
        )
        note_end(connection, parts[0], {"indexed": 9, "seconds": 2.0, "failed": 1, "stopped": False})
        note_end(connection, parts[1], {"indexed": 10, "seconds": 0.6})
        note_end(connection, parts[2], None, "No room.")
        set_status(connection, parts[:2], "succeeded")
        set_status(connection, parts[2:3], "failed")

    database.run(work)
    job = the_job(database)
    assert job.parts == Parts(waiting=1, done=2, failed=1)
    assert job.result == {"indexed": 19, "seconds": 3, "failed": 1, "unchanged": 0}
    assert (job.done, job.total) == (20, 40)
    cancel(database, job.id)
    assert the_job(database).parts == Parts(cancelled=1, done=2, failed=1)


def test_parts_that_an_earlier_version_queued_are_counted_as_well(database: Database) -> None:
    now = shipped()
    install(database, replace(now, ours=now.ours[:1]))
    with_notes = """INSERT INTO queue.job_notes (job_id, part_of, total, done, summary)
        VALUES (%s, %s, 10, 10, '{"indexed": 8, "failed": 2, "stopped": false}')"""

    def work(connection: Connection) -> None:
        look_into_queue(connection)
        rows = connection.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name)
                SELECT 'q', unnest(ARRAY['index', 'index photos', 'index photos']) RETURNING id"""
        ).fetchall()
        (whole,), *parts = rows
        connection.execute("INSERT INTO job_notes (job_id) VALUES (%s)", (whole,))
        for (part,) in parts:
            connection.execute(with_notes, (part, whole))
        set_status(connection, [number for (number,) in rows], "doing", "succeeded")

    database.run(work)
    install(database)
    job = the_job(database)
    assert (job.state, job.parts, job.done) == ("done", Parts(done=2), 20)
    assert job.result == {"indexed": 16, "failed": 4, "unchanged": 0}


def test_parts_that_end_during_a_queue_upgrade_count_as_ended(database: Database, library_url: str) -> None:
    now = shipped()
    install(database, replace(now, ours=now.ours[:1]))
    _, parts = make_parts(database, 2)
    database.run(lambda connection: set_status(connection, parts, "doing"))
    with ThreadPoolExecutor(1) as pool:

        def end_meanwhile(connection: Connection) -> Future[int]:
            set_status(connection, parts, "succeeded")
            updating = pool.submit(install_at, library_url)
            wait_for(lambda: connection.execute(_WAITING).fetchone())
            return updating

        database.run(end_meanwhile).result()
    assert the_job(database).parts == Parts(done=2)


def install_at(url: str) -> int:
    with opened(Database(url)) as session:
        return install(session)
