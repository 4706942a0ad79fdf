"""What is done to text between the engines: sentences for translation, clauses for speech."""
