"""What is mounted on this machine: a driver a file, read through one `mount.Mount`."""
