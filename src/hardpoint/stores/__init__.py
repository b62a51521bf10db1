"""Where readings and records become durable. `base` is the contract; each other file is one implementation."""
