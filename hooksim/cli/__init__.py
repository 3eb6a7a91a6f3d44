"""The command line: a file for each subcommand, the configuration's schema, loaders from a spec."""
