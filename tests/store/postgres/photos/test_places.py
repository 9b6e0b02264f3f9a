"""Photos near a place are found wherever on Earth that is."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.made_metadata import METADATA, keep

from facesets.places import EARTH_KM, FARTHEST_KM, Near
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import PhotoFilter
from facesets.store.postgres.photos.search import count_photos, find_photos

SPECIAL = [(90, 0), (-90, 120), (89.99, 179), (0, 180), (0, -180), (-17.8, 179.99), (-17.8, -179.99), (0, 0)]


@pytest.fixture
def places(database: Database) -> np.ndarray:
    """Degrees of the photos of a library: all over Earth, some around the poles and the date line."""
    rng = np.random.default_rng(4)
    anywhere = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 120))), rng.uniform(-180, 180, 120)])
    polar = np.column_stack([rng.uniform(88, 90, 40) * rng.choice([-1, 1], 40), rng.uniform(-180, 180, 40)])
    line = np.column_stack([rng.uniform(-60, 60, 40), rng.uniform(175, 180, 40) * rng.choice([-1, 1], 40)])
    found = np.concatenate([anywhere, polar, line, np.array(SPECIAL)])
    said = [replace(METADATA, latitude=float(lat), longitude=float(lon)) for lat, lon in found]
    keep(Library(database, SETTINGS), *said, replace(METADATA, latitude=None, longitude=None))
    return found


def exact(places: np.ndarray, near: Near) -> np.ndarray:
    """The distances of places from one by the angle between unit vectors."""

    def unit(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        across = np.cos(latitude)
        return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=-1)

    these = unit(*np.radians(places).T)
    this = unit(np.radians(np.array(near.latitude)), np.radians(np.array(near.longitude)))
    found: np.ndarray = np.arctan2(np.linalg.norm(np.cross(these, this), axis=1), these @ this) * EARTH_KM
    return found


@pytest.mark.parametrize("km", [0.5, 30, 600, 5000, 10_500, FARTHEST_KM])
def test_they_are_those_whose_distance_is_no_more(database: Database, places: np.ndarray, km: float) -> None:
    for latitude, longitude in [*SPECIAL, (48.1, 11.6), (-17.8, 179.5), (88.9, -100), (-89.2, 20), (84, 180)]:
        near = Near(latitude, longitude, km)
        distances = exact(places, near)
        found = database.run(partial(find_photos, asked=PhotoFilter(near=near), offset=0, limit=500))
        by_path = {int(photo.paths[0][1:-4]): photo.distance_km for photo in found}
        assert set(by_path) == set(np.flatnonzero(distances <= km).tolist())
        for number, distance in by_path.items():
            assert distance == pytest.approx(distances[number], abs=1e-3)
        assert database.run(partial(count_photos, asked=PhotoFilter(near=near))) == len(found)
