"""Tests of hardpoint.web; a package, because other folders have test files of the same names."""
