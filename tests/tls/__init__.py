"""Tests of hardpoint.tls; a package, because other folders have test files of the same names."""
