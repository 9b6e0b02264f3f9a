"""Photos described by language models: announced, sent, paid once, stored."""
