"""The command line: one file a command, `main` finds them. Conventions that hold for all of them:

stdout is data and stderr is talk; ``--json`` prints one document (or one a line for streams) that names its schema;
an error is ``error: …`` and ``hint: …`` and an exit code of `main.EXIT_CODES`. Each module is light to import: what is
heavy (rich, psutil, http.client, the server itself) is imported by the function that needs it.
"""
