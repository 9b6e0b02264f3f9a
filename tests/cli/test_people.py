"""`facesets people` as a user types it."""

import json

import pytest
from tests.fixtures.program import run
from tests.operations.people.test_people import add_person, cluster

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
