"""Tests of hardpoint.hub; a package, because other folders have test files of the same names."""
