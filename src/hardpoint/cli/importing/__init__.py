"""Files of readings from elsewhere: `records` reads lines, `columns` says what each column means, `job` sends them."""
