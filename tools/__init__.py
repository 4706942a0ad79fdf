"""Programs for the people who build, measure and try Dragoman; they run from a checkout."""
