"""The JSON documents of the app API as types: what comes in is checked against them, what goes out is described by
them in ``/api/openapi.json``, and a test holds real answers against them. One module a subject; routes say
``shapes.Device`` whatever the module.
"""

from __future__ import annotations

from .audit import *
from .commands import *
from .dashboards import *
from .devices import *
from .home import *
from .packages import *
from .people import *
from .readings import *
from .rules import *
from .simulation import *
from .store import *
from .system import *
from .tap import *
from .words import *
