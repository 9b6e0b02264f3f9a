"""Places on Earth, and areas around them."""

from dataclasses import dataclass
from math import asin, cos, degrees, pi, radians, sin, sqrt

EARTH_KM = 6371.0088
"""The mean radius of the Earth."""

FARTHEST_KM = pi * EARTH_KM
"""The maximum distance of two places on Earth."""

_SLACK = 1e-9
"""Degrees added to boxes, so that rounding loses no place."""


@dataclass(frozen=True, slots=True)
class GeoBox:
    """A box in degrees from west to east, not across the date line, and from south to north."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True)
class Near:
    """The area within a distance in kilometers of a place in degrees, north and east positive."""

    latitude: float
    longitude: float
    km: float

    def boxes(self) -> list[GeoBox]:
        """Return a box that holds the area; two if the date line crosses it."""
        angle = self.km / EARTH_KM
        south, north = self.latitude - degrees(angle) - _SLACK, self.latitude + degrees(angle) + _SLACK
        if south <= -90 or north >= 90:
            return [GeoBox(-180, max(south, -90), 180, min(north, 90))]
        # The circle is widest where it touches meridians, which is not at the latitude of its center.
        across = degrees(asin(sin(angle) / cos(radians(self.latitude)))) + _SLACK
        west, east = self.longitude - across, self.longitude + across
        if west < -180:
            return [GeoBox(west + 360, south, 180, north), GeoBox(-180, south, east, north)]
        if east > 180:
            return [GeoBox(west, south, 180, north), GeoBox(-180, south, east - 360, north)]
        return [GeoBox(west, south, east, north)]

    def inner_box(self) -> GeoBox:
        """Return a box within the area, as a square in a circle: all places in it are near enough."""
        angle = self.km / EARTH_KM
        up = angle / sqrt(2)
        south = max(self.latitude - degrees(up) + _SLACK, -90)
        north = min(self.latitude + degrees(up) - _SLACK, 90)
        # Degrees of longitude are longest where the box is nearest to the equator.
        longest = 1.0 if south <= 0 <= north else max(cos(radians(south)), cos(radians(north)))
        left = sin(angle / 2) ** 2 - sin(up / 2) ** 2
        across = degrees(2 * asin(sqrt(min(left / (cos(radians(self.latitude)) * longest), 1.0)))) - _SLACK
        return GeoBox(max(self.longitude - across, -180), south, min(self.longitude + across, 180), north)
