"""History: ranges of readings as a chart or a program wants them, read from a store in pieces.

`query.RangeQuery` says what is wanted, `reduce.reduce_range` answers it for one series, `pages` goes through as many
readings as there are, and `pool.ReadPool` is where all of it runs: on threads, bounded, and no longer than wanted.
"""
