"""Language model providers: Anthropic, Amazon Bedrock, and servers with OpenAI's chat interface."""
