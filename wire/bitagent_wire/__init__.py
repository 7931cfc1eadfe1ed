"""Messages between validators and miners: two signed HTTP protocols and the messages of BitAgent."""
