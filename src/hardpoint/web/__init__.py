"""What people and their programs see: the app API, sign-in, the live stream, metrics and the pages."""
