"""Who runs language models: Anthropic, Amazon Bedrock, and servers with OpenAI's chat interface."""
