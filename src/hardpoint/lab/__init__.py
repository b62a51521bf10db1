"""The I/O models side by side: one line service on blocking threads, busy polling, select, poll and epoll.

`models` says what there is; `threads`, `busy` and `loops` are the servers, each small enough to be read beside the
others, and all of them answer through the same `service`. `experiment` runs them in processes of their own (`server`,
with `crowd` for the idle connections and `load` for the active ones), and `report` and `chart` show what came out.
docs/io-models.md tells the story.
"""
