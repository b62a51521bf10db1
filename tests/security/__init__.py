"""What whoever wishes this server ill might try, one test each."""
