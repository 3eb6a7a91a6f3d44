"""What a user asks for: one file a measure, each reading an accumulator."""
