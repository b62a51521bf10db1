"""The hub: devices, sessions, presence, latest values, commands. It never sees a byte or a socket."""
