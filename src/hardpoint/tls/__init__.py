"""TLS for listeners: certificates that change while the server runs, and a transport over any stream transport."""
