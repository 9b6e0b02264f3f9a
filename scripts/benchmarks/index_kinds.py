"""Compare kinds of vector index over the same faces: size, time to build, time and recall of a query.

A kind is written CODE:M:EF, such as half:32:300: what is indexed, and how the graph is built.

half   half-precision vectors by cosine distance: what the library has
bit    the sign of each number, by Hamming distance
bits3  three bits a number, which say between which of four values it lies, by Hamming distance

The nearest by the index are candidates; the full vectors decide among them. The table is a bare one, and
nothing is joined to it: what is measured is the index.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import INT8, copy_in, vector

Array = NDArray[np.float32]

BEST = 10
KIN_SIMILARITY = 0.35
SHIFT = 0.03
"""About half of the numbers of a unit vector of 512 lie within this distance of zero."""
MOST_AT_ONCE = 1000
ROWS_A_COPY = 50_000
CODES = ("half", "bit", "bits3")


@dataclass(frozen=True)
class Kind:
    """The indexed value, and how the index is built."""

    code: str
    m: int
    ef: int

    @property
    def operators(self) -> str:
        """Return the index's operator class."""
        return "halfvec_cosine_ops" if self.code == "half" else "bit_hamming_ops"

    @property
    def distance(self) -> str:
        """Return the operator to order by."""
        return "<=>" if self.code == "half" else "<~>"

    def graph_bytes(self, dimension: int) -> int:
        """Return the memory per vector while the index is built: code, neighbors, position."""
        code = {"half": 2 * dimension, "bit": dimension // 8, "bits3": 3 * dimension // 8}[self.code]
        return code + 24 * 3 * self.m + 250

    def of(self, vector: str, dimension: int) -> str:
        """Return the indexed expression of a vector."""
        if self.code == "half":
            return f"{vector}::halfvec({dimension})"
        if self.code == "bit":
            return f"binary_quantize({vector})::bit({dimension})"
        shift = f"array_fill({SHIFT}::real, ARRAY[{dimension}])::vector"
        above, below = f"binary_quantize({vector} - {shift})", f"binary_quantize({vector} + {shift})"
        return f"({above} || binary_quantize({vector}) || {below})::bit({3 * dimension})"


@dataclass(frozen=True)
class Queries:
    """Vectors to search for, and the similarities of the ten best matches of each, best first."""

    name: str
    vectors: Array
    best: Array


def kind_of(text: str) -> Kind:
    """Parse a kind from the command line."""
    code, m, ef = text.split(":")
    if code not in CODES:
        raise ValueError(code)
    return Kind(code, int(m), int(ef))


def compare(
    database: Database,
    vectors: Array,
    labels: NDArray[np.int32],
    kinds: Sequence[Kind],
    *,
    queries: int,
    candidates: Sequence[int],
    workers: int,
) -> None:
    """Build one kind after the other over the same vectors, and search each; print what that gave.

    Searched for are vectors of the library with a little noise; faces that are not in the library, of people
    who are; and faces of people who are not.
    """
    rng = np.random.default_rng(1)
    photos_of_person = np.bincount(labels)[labels]
    kin = rng.choice(np.flatnonzero(photos_of_person > 1), queries, replace=False)
    strangers = rng.choice(np.flatnonzero(photos_of_person == 1), queries, replace=False)
    held = np.zeros(len(vectors), bool)
    held[kin] = held[strangers] = True
    stored = vectors[~held]
    noised = stored[rng.choice(len(stored), queries, replace=False)]
    noised = noised + rng.standard_normal(noised.shape).astype(np.float32) * 0.01
    noised /= np.linalg.norm(noised, axis=1, keepdims=True)
    asked = {"noised": noised, "with kin": vectors[kin], "without": vectors[strangers]}
    groups = [Queries(name, each, ten_best(stored, each)) for name, each in asked.items()]
    began = time.perf_counter()
    database.run(lambda connection: load(connection, stored))
    print(f"{len(stored)} vectors copied in {time.perf_counter() - began:.0f} s", flush=True)

    def work(connection: Connection) -> None:
        for kind in kinds:
            build(connection, kind, vectors.shape[1], workers)
            for count in candidates:
                measure(connection, kind, groups, count)

    database.run_alone(work)


def ten_best(vectors: Array, queries: Array) -> Array:
    """Return the similarities of the ten best of each query, best first, by brute force."""
    return np.array([np.sort(np.partition(vectors @ query, -BEST)[-BEST:])[::-1] for query in queries])


def load(connection: Connection, vectors: Array) -> None:
    """Create the table."""
    connection.execute("CREATE TABLE compared (id bigint, embedding vector)")
    connection.execute("ALTER TABLE compared ALTER COLUMN embedding SET STORAGE PLAIN")
    for start in range(0, len(vectors), ROWS_A_COPY):
        some = vectors[start : start + ROWS_A_COPY]
        copy_in(
            connection,
            "COPY compared (id, embedding) FROM STDIN (FORMAT BINARY)",
            {"id": INT8, "embedding": vector(vectors.shape[1])},
            {"id": np.arange(start, start + len(some)), "embedding": some},
        )


def build(connection: Connection, kind: Kind, dimension: int, workers: int) -> None:
    """Build the index in place of the one before; print how long it took and how large it is."""
    connection.execute("DROP INDEX IF EXISTS compared_hnsw")
    memory = max(kind.graph_bytes(dimension) * rows(connection) // 1_000_000, 64)
    connection.execute(f"SET maintenance_work_mem = '{memory}MB'".encode())
    connection.execute(f"SET max_parallel_maintenance_workers = {workers - 1}".encode())
    began, worked = time.perf_counter(), processor_s(connection)
    connection.execute(
        f"""CREATE INDEX compared_hnsw ON compared USING hnsw
            (({kind.of("embedding", dimension)}) {kind.operators})
            WITH (m = {kind.m}, ef_construction = {kind.ef})""".encode()
    )
    spent, worked = time.perf_counter() - began, processor_s(connection) - worked
    connection.execute("ANALYZE compared")
    size = connection.scalar("SELECT pg_relation_size('compared_hnsw')")
    print(
        f"{kind.code}:{kind.m}:{kind.ef}: {size / 1e6:.0f} MB, built in {spent:.0f} s by {workers}, the "
        f"first of which worked {worked:.0f} s",
        flush=True,
    )


def rows(connection: Connection) -> int:
    """Return how many vectors are compared."""
    return int(connection.scalar("SELECT count(*) FROM compared"))


def measure(connection: Connection, kind: Kind, groups: Sequence[Queries], candidates: int) -> None:
    """Print time and recall with this many candidates, for each group of queries."""
    connection.execute(f"SET hnsw.ef_search = {min(candidates, MOST_AT_ONCE)}".encode())
    further = "relaxed_order" if candidates > MOST_AT_ONCE else "off"
    connection.execute(f"SET hnsw.iterative_scan = {further}".encode())
    connection.execute("SET enable_seqscan = off")
    worked, recalls = processor_s(connection), []
    times: list[float] = []
    for group in groups:
        found = np.full(group.best.shape, -2.0, np.float32)
        for row, hits in enumerate(searched(connection, kind, group.vectors, candidates, times)):
            found[row, : len(hits)] = hits
        recalls.append(f"{group.name} {recall(found, group.best)}")
    worked = (processor_s(connection) - worked) / len(times) * 1000
    p50, p95, p99 = np.percentile(times[len(times) // 10 :], [50, 95, 99]) * 1000
    print(
        f"  {candidates} candidates: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, of a processor "
        f"{worked:.1f} ms; recall@{BEST} {', '.join(recalls)}",
        flush=True,
    )


def searched(
    connection: Connection, kind: Kind, vectors: Array, candidates: int, times: list[float]
) -> Iterator[list[float]]:
    """Return the similarities found for each vector, best first; append each search's time."""
    indexed, asked = (kind.of(each, vectors.shape[1]) for each in ("embedding", "%(query)s::vector"))
    statement = f"""WITH nearest AS MATERIALIZED (SELECT embedding FROM compared
            ORDER BY {indexed} {kind.distance} {asked} LIMIT {candidates})
        SELECT 1 - (embedding <=> %(query)s::vector) AS similarity FROM nearest
        ORDER BY similarity DESC LIMIT {BEST}""".encode()
    for query in vectors:
        began = time.perf_counter()
        rows = connection.execute(statement, {"query": str(query.tolist())}).fetchall()
        times.append(time.perf_counter() - began)
        yield [similarity for (similarity,) in rows]


def processor_s(connection: Connection) -> float:
    """Return processor seconds of this connection's server process, free of other load."""
    pid = connection.scalar("SELECT pg_backend_pid()")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def recall(found: Array, best: Array) -> str:
    """Return the share of the best that was found, overall and among similar ones."""
    shares = []
    for counted in (np.ones_like(best, bool), best >= KIN_SIMILARITY):
        right = sum(
            min(int((mine >= row[which].min() - 1e-5).sum()), int(which.sum()))
            for mine, row, which in zip(found, best, counted, strict=True)
            if which.any()
        )
        shares.append(f"{right / max(int(counted.sum()), 1):.4f}")
    return f"{shares[0]} (≥{KIN_SIMILARITY}: {shares[1]})"
