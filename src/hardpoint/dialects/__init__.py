"""Device languages: wire events ↔ hub verbs. One file each; none knows another."""
